"""An ensemble as a figure: quality against the number of members, and how alike their errors are."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from catsdogs.core.ensemblereport import Judgement
from catsdogs.evaluation.ensembles import majority_error
from catsdogs.reporting.comparisonfigures import shortened

_REAL, _PROMISED, _MARK = "tab:blue", "tab:orange", "0.4"
# More names than that cannot be read beside each other.
_MOST_NAMED = 12


def draw_ensemble(judgement: Judgement, voting: tuple[str, ...]) -> Figure:
    """Draw error and log loss against the number of members, and the correlations of errors.

    Args:
        judgement: Of the ensemble.
        voting: Names of the members that have a vote.
    """
    several = len(voting) > 1
    figure = Figure(figsize=(11 if several else 7, 3.6), layout="constrained")
    grid = figure.subplots(1, 3 if several else 2, squeeze=False)[0]
    _draw_errors(grid[0], judgement)
    _draw_losses(grid[1], judgement)
    if several:
        _draw_correlations(figure, grid[2], judgement, voting)
    return figure


def _draw_errors(axes: Axes, judgement: Judgement) -> None:
    sizes = [size.members for size in judgement.sizes]
    means = [100 * size.error for size in judgement.sizes]
    low = [100 * size.error_low for size in judgement.sizes]
    high = [100 * size.error_high for size in judgement.sizes]
    axes.fill_between(sizes, low, high, color=_REAL, alpha=0.15, linewidth=0, label="best to worst subset")
    axes.plot(sizes, means, "o-", color=_REAL, markersize=4, label="measured, mean of subsets")
    alone = judgement.sizes[0].error
    promised = [100 * majority_error(size, alone) for size in sizes]
    axes.plot(sizes, promised, "--", color=_PROMISED, label="if errors were independent")
    best = judgement.members[judgement.comparison.names[0]]
    axes.axhline(100 * best.value, color=_MARK, linestyle=":", label="best single member")
    axes.set_ylabel("wrong answers, %")
    axes.set_ylim(bottom=0)
    _finish(axes)


def _draw_losses(axes: Axes, judgement: Judgement) -> None:
    sizes = [size.members for size in judgement.sizes]
    low = [size.log_loss_low for size in judgement.sizes]
    high = [size.log_loss_high for size in judgement.sizes]
    axes.fill_between(sizes, low, high, color=_REAL, alpha=0.15, linewidth=0, label="best to worst subset")
    means = [size.log_loss for size in judgement.sizes]
    axes.plot(sizes, means, "o-", color=_REAL, markersize=4, label="measured, mean of subsets")
    best = judgement.comparison.figures[judgement.comparison.names[0]]["log_loss"]
    axes.axhline(best.value, color=_MARK, linestyle=":", label="best single member")
    axes.set_ylabel("log loss")
    axes.set_ylim(bottom=0)
    _finish(axes)


def _finish(axes: Axes) -> None:
    axes.set_xlabel("members, equal weights")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def _draw_correlations(figure: Figure, axes: Axes, judgement: Judgement, voting: tuple[str, ...]) -> None:
    cells = np.array(judgement.correlations)
    drawn = axes.imshow(cells, vmin=0, vmax=1, cmap="viridis")
    named = len(voting) <= _MOST_NAMED
    names = [shortened(name, 16) if named else "" for name in voting]
    axes.set_xticks(range(len(voting)), names, rotation=45, ha="right", fontsize=8, parse_math=False)
    axes.set_yticks(range(len(voting)), names, fontsize=8, parse_math=False)
    for (row, column), value in np.ndenumerate(cells) if named else ():
        text = "-" if math.isnan(value) else f"{value:.2f}"
        axes.text(column, row, text, ha="center", va="center", fontsize=8, color=_ink(value))
    axes.set_title("correlation of being wrong", fontsize=10)
    figure.colorbar(drawn, ax=axes, shrink=0.8)


def _ink(value: float) -> str:
    """Return a colour that is seen on the colour of a cell; pure black and white follow the page."""
    if math.isnan(value):
        return "black"
    return "#111111" if value > 0.6 else "#eeeeee"
