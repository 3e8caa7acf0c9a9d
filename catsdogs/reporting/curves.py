"""Learning curves as a figure: losses, accuracies and learning rate over the epochs, and what they say."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from catsdogs.core.printable import printable
from catsdogs.evaluation.diagnosis import OVERFITTING, Diagnosis
from catsdogs.evaluation.learningcurves import LearningCurve

_TRAIN, _VAL, _RATE, _MARK, _OVERFIT = "tab:blue", "tab:orange", "tab:green", "0.4", "tab:red"
# A loss that falls by more than this factor is nearly all floor on a linear axis.
_WIDE = 50.0
_DOTTED_UP_TO = 60
_LINE_LETTERS = 105


def draw_curves(
    curve: LearningCurve, diagnosis: Diagnosis | None = None, *, unfrozen: Sequence[int] = (), name: str = ""
) -> Figure:
    """Draw a learning curve; what was not measured is left out.

    Args:
        curve: Of the run.
        diagnosis: The title and its evidence.
        unfrozen: Epochs, from 1, in which further layers began to train.
        name: What the run is called.
    """
    panels = [
        ("loss", 3.0, (("train", curve.train_loss, _TRAIN), ("val", curve.val_loss, _VAL))),
        ("accuracy", 2.2, (("train", curve.train_accuracy, _TRAIN), ("val", curve.val_accuracy, _VAL))),
        ("learning rate", 0.9, (("rate", curve.learning_rate, _RATE),)),
    ]
    shown = [panel for panel in panels if panel[0] == "loss" or any(_known(line[1]) for line in panel[2])]
    heights = [height for _, height, _ in shown]
    figure = Figure(figsize=(8, sum(heights) + 1.2), layout="constrained")
    grid = figure.subplots(len(shown), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
    for axes, (title, _, lines) in zip(grid, shown, strict=True):
        for label, values, colour in lines:
            _draw_line(axes, curve.epochs, values, colour, label)
        axes.set_ylabel(title)
        axes.grid(alpha=0.3)
        _mark(axes, curve, diagnosis, unfrozen)
    _style_loss(grid[0], curve)
    grid[-1].set_xlabel("epoch")
    grid[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    _write_title(figure, grid[0], diagnosis, name)
    return figure


def _draw_line(axes: Axes, epochs: Sequence[int], values: Sequence[float], colour: str, label: str) -> None:
    points = [pair for pair in zip(epochs, values, strict=True) if math.isfinite(pair[1])]
    if points:
        marker = "o" if len(points) <= _DOTTED_UP_TO else ""
        axes.plot(*zip(*points, strict=True), marker=marker, markersize=3, color=colour, label=label)


def _mark(axes: Axes, curve: LearningCurve, diagnosis: Diagnosis | None, unfrozen: Sequence[int]) -> None:
    """Mark the best epoch, the epochs of unfreezing, and those that overfit."""
    best = curve.best_epoch
    if best is not None:
        axes.axvline(best, color=_MARK, linestyle=":", label=f"best (epoch {best})")
    within = [epoch for epoch in unfrozen if epoch <= curve.epochs[-1]]
    named = f"epoch{'s' if len(within) > 1 else ''} {', '.join(map(str, within))}"
    for epoch in within:
        label = f"unfrozen ({named})" if epoch == within[0] else "_"
        axes.axvline(epoch - 0.5, color="tab:purple", linestyle="--", linewidth=1, label=label)
    if diagnosis is not None and diagnosis.name == OVERFITTING and diagnosis.epoch is not None:
        label = f"overfits (from epoch {diagnosis.epoch})"
        axes.axvspan(diagnosis.epoch, curve.epochs[-1], color=_OVERFIT, alpha=0.08, label=label)


def _style_loss(axes: Axes, curve: LearningCurve) -> None:
    values = [value for value in (*curve.train_loss, *curve.val_loss) if math.isfinite(value)]
    if values and min(values) > 0 and max(values) > _WIDE * min(values):
        axes.set_yscale("log")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8)


def _write_title(figure: Figure, axes: Axes, diagnosis: Diagnosis | None, name: str) -> None:
    parts = [printable(name)] if name else []
    if diagnosis is not None:
        parts.append(diagnosis.title)
        evidence = textwrap.fill("; ".join(diagnosis.evidence), _LINE_LETTERS)
        axes.set_title(evidence, fontsize=8, loc="left", parse_math=False)
    if parts:
        figure.suptitle(": ".join(parts), fontsize=12, parse_math=False)


def _known(values: Sequence[float]) -> bool:
    return any(map(math.isfinite, values))
