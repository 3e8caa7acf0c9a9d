"""Figures of why a strategy was chosen and of what it trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from catsdogs.core.printable import printable

# The rates that are told apart: lower ones than a thousandth of the highest hardly train.
_RATE_RANGE = 1000
_LINEAR, _SVM, _HERE = "tab:blue", "tab:orange", "tab:red"
# Lets the paper through: letters on it are seen on a light page and on a dark one.
_CELL = ("0.5", 0.2)
_CELLS = {
    (False, True): "little and similar:\nfrozen, linear probe\nor SVM",
    (False, False): "little and different:\nfrozen, SVM or\nearlier stages",
    (True, True): "plenty and similar:\nfine-tune, if it wins",
    (True, False): "plenty and different:\nfine-tune many layers,\nif it wins",
}


class Layer(Protocol):
    """What ``draw_plan`` needs of a layer group."""

    @property
    def name(self) -> str:
        """Of the group."""

    @property
    def rates(self) -> Sequence[float]:
        """Learning rates at equal steps over the whole training."""


def draw_evidence(considered: Mapping[str, Any]) -> Figure:
    """Draw probe quality by stage, against the number of pictures, and where the data lies in the matrix.

    Args:
        considered: ``evidence``, ``cell`` and ``thresholds`` as ``plan.json`` holds them.
    """
    figure = Figure(figsize=(13, 4))
    # A constrained layout would take longer than twenty pictures take to learn.
    figure.subplots_adjust(left=0.05, right=0.99, bottom=0.15, top=0.92, wspace=0.2)
    by_stage, by_size, matrix = figure.subplots(1, 3)
    _draw_stages(by_stage, considered["evidence"])
    _draw_growth(by_size, considered["evidence"])
    _draw_matrix(matrix, considered["cell"], considered["thresholds"])
    return figure


def draw_plan(layers: Sequence[Layer], epochs: int, *, title: str) -> Figure:
    """Draw which layers train when, the darker the higher the rate, and the rates themselves."""
    figure = Figure(figsize=(9, 2.5 + 0.28 * len(layers)), layout="constrained")
    bands, lines = figure.subplots(2, 1, sharex=True, height_ratios=[max(2, 0.28 * len(layers)), 2])
    rates = np.array([layer.rates for layer in layers])
    shown = np.ma.masked_equal(rates, 0)
    image = bands.imshow(
        shown,
        aspect="auto",
        extent=(0, epochs, len(layers) - 0.5, -0.5),
        cmap="Blues",
        norm=LogNorm(rates.max() / _RATE_RANGE, rates.max(), clip=True),
    )
    bands.set_facecolor("0.92")
    bands.set_yticks(range(len(layers)), [printable(layer.name) for layer in layers])
    bands.set_title(title)
    figure.colorbar(image, ax=bands, label="learning rate")
    times = np.linspace(0, epochs, rates.shape[1], endpoint=False)
    for row, layer in zip(rates, layers, strict=True):
        if row.any():
            is_head = layer is layers[-1]
            style = {"color": "tab:red", "linewidth": 2} if is_head else {"color": "tab:blue", "alpha": 0.5}
            lines.plot(times, np.ma.masked_equal(row, 0), label="head" if is_head else None, **style)
    lines.set_yscale("log")
    lines.set_ylim(rates.max() / _RATE_RANGE, rates.max() * 1.5)
    lines.set_xlabel("epoch")
    lines.set_ylabel("learning rate")
    lines.grid(alpha=0.3)
    lines.legend()
    return figure


def _draw_stages(axes: Axes, evidence: Mapping[str, Any]) -> None:
    stages = evidence["stages"]
    names = [one["stage"] for one in stages]
    _points(axes, range(len(stages)), stages, _LINEAR, "linear probe")
    svm = [one for one in evidence["svm"] if len(one["stages"]) == 1 and one["stages"][0] in names]
    _points(axes, [names.index(one["stages"][0]) for one in svm], svm, _SVM, "SVM")
    for one in evidence["svm"]:
        if len(one["stages"]) > 1 and one["log_loss"] is not None:
            axes.axhline(
                one["log_loss"], color=_SVM, linestyle="--", label=f"SVM on {' + '.join(one['stages'])}"
            )
    axes.axhline(evidence["chance_log_loss"], color="0.5", linestyle=":", label="chance")
    labels = [
        one["stage"] if one["stage"] == "top" else f"{one['stage']}\nstride {one['stride']}" for one in stages
    ]
    axes.set_xticks(range(len(stages)), labels, fontsize=8)
    axes.set_ylabel("cross-validated log loss")
    axes.set_title(f"where the features are ({evidence['pictures']:,} pictures)")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()


def _points(
    axes: Axes, places: Sequence[int] | range, scores: Sequence[Mapping[str, Any]], colour: str, label: str
) -> None:
    known = [(place, one) for place, one in zip(places, scores, strict=True) if one["log_loss"] is not None]
    if known:
        axes.errorbar(
            [place for place, _ in known],
            [one["log_loss"] for _, one in known],
            yerr=[1.96 * (one["log_loss_error"] or 0) for _, one in known],
            fmt="o-" if label == "linear probe" else "s",
            color=colour,
            capsize=3,
            label=f"{label} (95 %)",
        )


def _draw_growth(axes: Axes, evidence: Mapping[str, Any]) -> None:
    points = evidence["growth"]
    axes.set_title("what more pictures bring")
    axes.set_xlabel("pictures learned from")
    axes.set_ylabel("log loss of the best linear probe")
    axes.grid(alpha=0.3)
    if not points:
        axes.text(0.5, 0.5, "too few pictures to tell", ha="center", transform=axes.transAxes)
        return
    sizes = [point["pictures"] for point in points]
    losses = [point["log_loss"] for point in points]
    axes.errorbar(sizes, losses, yerr=[point["spread"] for point in points], fmt="o-", capsize=3)
    twice = evidence["log_loss_at_twice_the_pictures"]
    if twice is not None:
        axes.plot([sizes[-1], 2 * sizes[-1]], [losses[-1], twice], "o--", color="0.6", label="expected")
        axes.legend()
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes], minor=False)
    axes.minorticks_off()
    axes.set_ylim(bottom=0)


def _draw_matrix(axes: Axes, cell: Mapping[str, Any], thresholds: Mapping[str, Any]) -> None:
    similar, plenty = thresholds["similar"], thresholds["plenty"]
    pictures, similarity = max(1, cell["pictures"]), max(0.0, cell["similarity"])
    low, high = min(10, pictures) / 2, max(20_000, pictures) * 2
    for (is_plenty, is_similar), name in _CELLS.items():
        x0, x1 = (similar, 1.0) if is_similar else (0.0, similar)
        y0, y1 = (plenty, high) if is_plenty else (low, plenty)
        here = is_plenty == cell["plenty"] and is_similar == cell["similar"]
        axes.add_patch(
            Rectangle((x0, y0), x1 - x0, y1 - y0, facecolor=_CELL if here else "none", edgecolor="0.5")
        )
        axes.text((x0 + x1) / 2, np.sqrt(y0 * y1), name, ha="center", va="center", fontsize=8)
    axes.plot(similarity, pictures, "*", color=_HERE, markersize=16)
    axes.set_yscale("log")
    axes.set_xlim(0, 1)
    axes.set_ylim(low, high)
    axes.set_xlabel("similarity: uncertainty that the top features remove")
    axes.set_ylabel("training pictures")
    axes.set_title("where these pictures lie")
