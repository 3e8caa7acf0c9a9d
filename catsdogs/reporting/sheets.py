"""A sheet of pictures in rows and columns, each pixel as it is: what a network sees, for people."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from catsdogs.core.printable import printable

_DPI = 100
_FONT_PT = 8
_LINE_PX = 13
_LETTER_PX = 6.2  # on average; lines are broken by it
_GAP_PX = 10
_LEAST_TILE_PX = 160


@dataclass(frozen=True)
class Tile:
    """One picture of a sheet.

    Attributes:
        pixels: uint8 (H, W, 3).
        caption: Stands above it, in as many lines as it has; too long lines are cut.
    """

    pixels: npt.NDArray[np.uint8]
    caption: str = ""


def tile_size(height: int, width: int) -> tuple[int, int]:
    """Return the (height, width) in which such pictures are shown: whole times theirs, and large enough."""
    scale = max(1, -(-_LEAST_TILE_PX // min(height, width)))
    return scale * height, scale * width


def draw_sheet(title: str, headings: Sequence[str], rows: Sequence[Sequence[Tile]]) -> Figure:
    """Draw rows of tiles under their headings, each pixel as it is or repeated.

    Args:
        title: Broken into lines where it is too long.
        headings: One a column.
        rows: At least one, each with a tile for every column, of ``tile_size`` or a whole part of it.
    """
    height, width = tile_size(*rows[0][-1].pixels.shape[:2])
    lines = max(tile.caption.count("\n") + 1 for row in rows for tile in row)
    step_x, step_y = width + _GAP_PX, height + lines * _LINE_PX + _GAP_PX
    sheet_width = len(headings) * step_x + _GAP_PX
    titles = textwrap.wrap(printable(title), int(sheet_width / _LETTER_PX))
    top = (len(titles) + 1) * _LINE_PX + _GAP_PX
    page = np.full((top + len(rows) * step_y + _GAP_PX, sheet_width, 3), 255, dtype=np.uint8)
    texts = [(_GAP_PX, (number + 1) * _LINE_PX, line) for number, line in enumerate(titles)]
    texts += [(_GAP_PX + n * step_x, top, heading) for n, heading in enumerate(headings)]
    for number, row in enumerate(rows):
        y = top + _GAP_PX + number * step_y + lines * _LINE_PX
        for column, tile in enumerate(row):
            x = _GAP_PX + column * step_x
            scale = height // len(tile.pixels)
            page[y : y + height, x : x + width] = tile.pixels.repeat(scale, 0).repeat(scale, 1)
            captions = tile.caption.split("\n")
            begin = y - 4 - (len(captions) - 1) * _LINE_PX
            texts += [(x, begin + n * _LINE_PX, _cut(line, width)) for n, line in enumerate(captions)]
    return _page(page, texts)


def _cut(line: str, width: int) -> str:
    most = int(width / _LETTER_PX)
    line = printable(line)
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _page(page: npt.NDArray[np.uint8], texts: Sequence[tuple[int, int, str]]) -> Figure:
    """Return a figure of exactly these pixels, with lines of text at (left, baseline)."""
    height, width = page.shape[:2]
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
    figure.figimage(page)
    for x, y, text in texts:
        figure.text(x / width, 1 - y / height, text, fontsize=_FONT_PT, va="baseline", parse_math=False)
    return figure
