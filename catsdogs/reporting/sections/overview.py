"""Several runs beside each other."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from catsdogs.core.report import EvaluationReport
from catsdogs.evaluation.learningcurves import LearningCurve
from catsdogs.reporting.comparisonfigures import shortened
from catsdogs.reporting.console import figure_text, figure_title
from catsdogs.reporting.page.blocks import Block, Drawing, Grid, Section
from catsdogs.reporting.sections.scores import draw_intervals

_FIGURES = ("accuracy", "balanced_accuracy", "log_loss", "auroc", "ece")


def overview_section(
    strategies: Mapping[str, str],
    reports: Mapping[str, EvaluationReport],
    curves: Mapping[str, LearningCurve],
) -> Section:
    """Return the figures of several runs in one table, best log loss first, and their curves in one figure.

    Args:
        strategies: Run -> strategy and backbone.
        reports: Run -> its test, where it has one.
        curves: Run -> its learning curve, where it has one.
    """
    order = sorted(strategies, key=lambda run: _log_loss(reports.get(run)))
    rows = tuple((run, strategies[run], *_figures(reports.get(run))) for run in order)
    header = ("run", "strategy", "test pictures", *map(figure_title, _FIGURES))
    blocks: list[Block] = [Grid("Best log loss first", header, rows)]
    tested = [run for run in order if run in reports]
    if tested:
        accuracies = [reports[run].metrics["accuracy"] for run in tested]
        pairs = zip(tested, accuracies, strict=True)
        told = "; ".join(f"{run}: {figure_text('accuracy', accuracy)}" for run, accuracy in pairs)
        blocks.append(Drawing("Accuracy", partial(draw_intervals, tested, accuracies, "accuracy"), told))
    if curves:
        told = "; ".join(f"{run}: lowest {min(curve.val_loss):.4f}" for run, curve in curves.items())
        blocks.append(Drawing("Validation loss", partial(draw_losses, curves), told))
    lead = f"{len(order)} runs. Where intervals overlap one may still be better: compare them in pairs."
    return Section("overview", "Side by side", lead, tuple(blocks))


def _log_loss(report: EvaluationReport | None) -> float:
    return float("inf") if report is None else report.metrics["log_loss"].value


def _figures(report: EvaluationReport | None) -> tuple[str, ...]:
    if report is None:
        return ("none", *("-" for _ in _FIGURES))
    return (f"{report.n:,}", *(figure_text(name, report.metrics[name]) for name in _FIGURES))


def draw_losses(curves: Mapping[str, LearningCurve]) -> Figure:
    """Draw the validation losses of several runs over their epochs."""
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.subplots()
    for run, curve in curves.items():
        axes.plot(curve.epochs, curve.val_loss, marker="o", markersize=3, label=shortened(run))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.set_ylabel("validation loss")
    axes.grid(alpha=0.3)
    for label in axes.legend(fontsize=8).get_texts():
        label.set_parse_math(False)
    return figure
