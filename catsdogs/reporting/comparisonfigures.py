"""Differences between models as a figure."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from catsdogs.core.estimate import Estimate
from catsdogs.core.printable import printable

_DOT, _ZERO = "tab:blue", "0.5"
_LONGEST_NAME = 28


def draw_gains(gains: Mapping[str, Mapping[str, Estimate]], first: str) -> Figure:
    """Draw by how much models are better than the first: a dot and its 95 % interval each, a panel a figure.

    Args:
        gains: Name of a model -> ``accuracy`` and ``log_loss`` -> how much better it is; above 0 is better.
        first: What they are compared with.
    """
    panels = (("accuracy", 100.0, "accuracy, points"), ("log_loss", 1.0, "log loss"))
    figure = Figure(figsize=(8, 1.4 + 0.4 * len(gains)), layout="constrained")
    grid = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    rows = range(len(gains) - 1, -1, -1)
    for axes, (name, factor, title) in zip(grid, panels, strict=True):
        axes.axvline(0, color=_ZERO, linewidth=1)
        for row, own in zip(rows, gains.values(), strict=True):
            gain = own[name]
            if gain.defined:
                axes.plot([factor * gain.low, factor * gain.high], [row, row], color=_DOT)
                axes.plot([factor * gain.value], [row], "o", color=_DOT)
        axes.set_xlabel(f"gain in {title}")
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.grid(alpha=0.3, axis="x")
    grid[0].set_yticks(list(rows), [shortened(name) for name in gains], parse_math=False)
    grid[0].set_ylim(-0.6, len(gains) - 0.4)
    figure.suptitle(
        f"Better (right of the line) or worse than {shortened(first)}", fontsize=11, parse_math=False
    )
    return figure


def shortened(name: str, longest: int = _LONGEST_NAME) -> str:
    """Return a name that fits beside a figure: its end says most, as a path's does."""
    text = printable(name)
    return text if len(text) <= longest else f"…{text[1 - longest :]}"
