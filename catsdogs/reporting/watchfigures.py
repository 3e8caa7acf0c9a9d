"""Statistics of the layers over a training as a figure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from catsdogs.core.printable import printable

_PANELS = (
    ("gradient_norm", "length of the gradient"),
    ("update_ratio", "step / weights"),
    ("dead_share", "units that never fire"),
    ("saturated_share", "saturated units"),
)


def draw_watch(rows: Sequence[Mapping[str, str]]) -> Figure:
    """Draw every statistic of ``watch.csv`` over the epochs, a line for each layer group.

    Colours run from the input (dark) to the head (bright); statistics that no layer has are left out.
    """
    groups = list(dict.fromkeys(row["group"] for row in rows))
    panels = [panel for panel in _PANELS if any(row[panel[0]] for row in rows)]
    figure = Figure(figsize=(4.2 * max(1, len(panels)), 4.2), layout="constrained")
    colours = colormaps["viridis"].resampled(len(groups) + 1)
    for axes, (name, title) in zip(
        figure.subplots(1, max(1, len(panels)), squeeze=False)[0], panels, strict=False
    ):
        for number, group in enumerate(groups):
            points = [
                (int(row["epoch"]) + 1, row[name]) for row in rows if row["group"] == group and row[name]
            ]
            if points:
                _line(axes, points, colours(number), group)
        _style(axes, name, title)
    handles = {line.get_label(): line for axes in figure.axes for line in axes.get_lines()}
    labels = [printable(group) for group in groups if printable(group) in handles]
    figure.legend(
        [handles[label] for label in labels], labels, loc="outside lower center", ncols=6, fontsize=8
    )
    return figure


def _line(axes: Axes, points: Sequence[tuple[int, str]], colour: object, group: str) -> None:
    values = [float(value) for _, value in points]
    shown = [value if math.isfinite(value) else math.nan for value in values]
    axes.plot(
        [epoch for epoch, _ in points], shown, marker="o", markersize=3, color=colour, label=printable(group)
    )


def _style(axes: Axes, name: str, title: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    if name.endswith("share"):
        axes.set_ylim(-0.02, 1.02)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    else:
        axes.set_yscale("log")


def draw_overfit(losses: Sequence[float], guessing: float) -> Figure:
    """Draw the loss of every step on one batch, and that of guessing."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(range(1, len(losses) + 1), losses, label="loss")
    axes.axhline(guessing, color="0.4", linestyle=":", label=f"guessing: {guessing:.2f}")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("step")
    axes.set_ylabel("training loss of one batch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()
    return figure
