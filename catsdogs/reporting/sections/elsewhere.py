"""What a run says of other pictures than its test's: of each evaluation in a folder of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from catsdogs.core.report import EvaluationReport
from catsdogs.reporting.console import figure_text, figure_title
from catsdogs.reporting.page.blocks import Grid, Section

_FIGURES = ("accuracy", "balanced_accuracy", "log_loss", "auroc", "ece")


def elsewhere_section(reports: Sequence[EvaluationReport]) -> Section | None:
    """Return a table of evaluations beside the run's own test; None where there was none."""
    if not reports:
        return None
    header = ("pictures", "n", "unreadable", "views", *map(figure_title, _FIGURES))
    rows = tuple(
        (
            _pictures(one),
            f"{one.n:,}",
            f"{one.n_unreadable:,}",
            one.tta,
            *(figure_text(name, one.metrics[name]) for name in _FIGURES),
        )
        for one in reports
    )
    worst = min(reports, key=lambda one: one.metrics["accuracy"].value)
    lead = (
        f"The lowest accuracy is {figure_text('accuracy', worst.metrics['accuracy'])}, "
        f"of {worst.n:,} pictures of {_pictures(worst)}."
    )
    return Section("elsewhere", "Other pictures, other views", lead, (Grid("Evaluations", header, rows),))


def _pictures(report: EvaluationReport) -> str:
    if report.pictures is None:
        return f"the {report.split} split" if report.split != "input" else "other pictures"
    return Path(report.pictures).name or report.pictures
