"""Accuracy on changed pictures as figures."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import PercentFormatter

from catsdogs.core.estimate import Estimate
from catsdogs.core.robustnessreport import (
    AttackReport,
    CorruptionReport,
    RobustnessReport,
    ShiftReport,
)
from catsdogs.reporting.robustnesswords import title_of

_CLEAN, _BAND = "0.5", 0.2
_COLOURS = {"fgsm": "tab:orange", "pgd": "tab:red"}
_PER_ROW = 5
_PANEL = (1.9, 2.0)
_LOWER_HEIGHT = 3.4


def draw_corruptions(report: CorruptionReport) -> Figure:
    """Draw accuracy against strength, a panel for each kind, with 95 % bands and the clean accuracy."""
    rows = -(-len(report.series) // _PER_ROW)
    figure = Figure(figsize=(_PER_ROW * _PANEL[0], rows * _PANEL[1] + 0.4), layout="constrained")
    _corruptions(figure, report)
    return figure


def draw_shifts(report: ShiftReport) -> Figure:
    """Draw the share of pictures whose answer changes against how far they are moved."""
    figure = Figure(figsize=(5, _LOWER_HEIGHT), layout="constrained")
    _shifts(figure.subplots(), report)
    return figure


def draw_attacks(report: AttackReport) -> Figure:
    """Draw accuracy against the strength of both attacks, with 95 % bands and the clean accuracy."""
    figure = Figure(figsize=(5, _LOWER_HEIGHT), layout="constrained")
    _attacks(figure.subplots(), report)
    return figure


def draw_robustness(report: RobustnessReport) -> Figure:
    """Draw all that was measured on one sheet."""
    kinds = 0 if report.corruptions is None else len(report.corruptions.series)
    upper = (-(-kinds // _PER_ROW)) * _PANEL[1] + (0.4 if kinds else 0)
    lower = _LOWER_HEIGHT if report.shifts is not None or report.attacks is not None else 0
    figure = Figure(figsize=(_PER_ROW * _PANEL[0], upper + lower), layout="constrained")
    heights = [height for height in (upper, lower) if height]
    parts = iter(figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0])
    if report.corruptions is not None:
        _corruptions(next(parts), report.corruptions)
    if lower:
        wanted = [part for part in (report.shifts, report.attacks) if part is not None]
        for axes, part in zip(next(parts).subplots(1, len(wanted), squeeze=False)[0], wanted, strict=True):
            if isinstance(part, ShiftReport):
                _shifts(axes, part)
            else:
                _attacks(axes, part)
    return figure


def _corruptions(figure: FigureBase, report: CorruptionReport) -> None:
    rows = -(-len(report.series) // _PER_ROW)
    grid = figure.subplots(rows, _PER_ROW, sharex=True, sharey=True, squeeze=False)
    for axes, series in zip(grid.ravel(), report.series, strict=False):
        strengths = [step.strength for step in series.steps]
        _line(axes, strengths, [step.accuracy for step in series.steps], "tab:blue", "")
        _clean(axes, report.clean)
        axes.set_title(title_of(series.name), fontsize=9)
        axes.set_xticks(strengths)
        axes.grid(alpha=0.3)
    for axes in grid.ravel()[len(report.series) :]:
        axes.axis("off")
    grid[0, 0].yaxis.set_major_formatter(PercentFormatter(1.0))
    figure.supxlabel("strength of the corruption", fontsize=9)
    figure.supylabel("accuracy", fontsize=9)


def _shifts(axes: Axes, report: ShiftReport) -> None:
    distances = [step.pixels for step in report.steps]
    _line(axes, distances, [step.changed for step in report.steps], "tab:purple", "")
    axes.set_xscale("log", base=2)
    axes.set_xticks(distances, [str(distance) for distance in distances])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel("moved by, px")
    axes.set_ylabel("pictures with another answer")
    axes.set_title("shifts, one direction of four or more", fontsize=9)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.grid(alpha=0.3)


def _attacks(axes: Axes, report: AttackReport) -> None:
    strengths = [step.strength for step in report.series[0].steps]
    # Strengths double from one to the next: evenly spaced they can be read, zero included.
    places = {strength: place for place, strength in enumerate(strengths)}
    for series in report.series:
        at = [places[step.strength] for step in series.steps]
        _line(
            axes, at, [step.accuracy for step in series.steps], _COLOURS[series.name], title_of(series.name)
        )
    _clean(axes, report.clean)
    axes.set_xticks(range(len(strengths)), [f"{strength:g}" for strength in strengths])
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("largest change of a value, in 1/255")
    axes.set_ylabel("accuracy")
    axes.set_title("attacks", fontsize=9)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def _line(
    axes: Axes, places: Sequence[float], estimates: Sequence[Estimate], colour: str, label: str
) -> None:
    lows, highs = [one.low for one in estimates], [one.high for one in estimates]
    axes.fill_between(places, lows, highs, color=colour, alpha=_BAND, linewidth=0)
    values = [one.value for one in estimates]
    axes.plot(places, values, marker="o", markersize=3, color=colour, label=label or "_")


def _clean(axes: Axes, clean: Estimate) -> None:
    axes.axhline(clean.value, color=_CLEAN, linestyle=":", label="clean")
