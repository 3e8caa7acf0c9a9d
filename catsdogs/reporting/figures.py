"""Results to figures. Each function takes plain values and returns a matplotlib Figure; nothing is global."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from catsdogs.core.files import replacing
from catsdogs.core.printable import printable

_PER_ROW = 5
_TRAIN, _BEST = "tab:blue", "0.4"


def draw_rates(
    rates: Sequence[float], losses: Sequence[float], smoothed: Sequence[float], found: float | None
) -> Figure:
    """Draw the loss against a rising learning rate, and the rate that was taken."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(rates, losses, ".", color="0.7", label="loss of a step")
    axes.plot(rates, smoothed, color=_TRAIN, label="smoothed")
    if found is not None:
        axes.axvline(found, color=_BEST, linestyle=":", label=f"taken: {found:.2g}")
    axes.set_xscale("log")
    axes.set_ylim(0, 3 * max(smoothed[: max(1, len(smoothed) // 2)], default=1.0))
    axes.set_xlabel("learning rate")
    axes.set_ylabel("training loss")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def draw_gallery(pictures: Sequence[Image.Image], captions: Sequence[str], title: str) -> Figure:
    """Draw pictures in rows of five, each with its caption above it."""
    rows = -(-len(pictures) // _PER_ROW)
    figure = Figure(figsize=(2 * _PER_ROW, 2.4 * rows + 0.5), layout="constrained")
    figure.suptitle(title)
    grid = figure.subplots(rows, _PER_ROW, squeeze=False).ravel()
    for axes in grid:
        axes.axis("off")
    for axes, picture, caption in zip(grid, pictures, captions, strict=False):
        axes.imshow(np.asarray(picture))
        axes.set_title(printable(caption), fontsize=8, parse_math=False)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG durably."""
    with replacing(path) as temporary, warnings.catch_warnings():
        # A letter that the font lacks is drawn as a box; the tables have every name in full.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        FigureCanvasAgg(figure).print_png(temporary)  # type: ignore[no-untyped-call]
