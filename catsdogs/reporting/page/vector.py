"""A figure as SVG inside the page: the same bytes each time, in the page's own colours of ink and paper."""

from __future__ import annotations

import io
import re
import warnings

import matplotlib as mpl
from matplotlib.figure import Figure

_BEFORE = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_SIZE = re.compile(r' (?:width|height)="[^"]*pt"')
# It would style the whole page; names of groups are referred to by nobody and would occur in every figure.
_STYLE = re.compile(r"<style.*?</style>", re.DOTALL)
_GROUP = re.compile(r'<g id="[^"]*"')
_FONT = re.compile(r"font-family: [^;\"]*;? ?")
_NAME = re.compile(r'\bid="([^"]+)"')
_REFERENCE = re.compile(r'(\bid="|href="#|url\(#)([^")]+)')
_PX_PER_INCH = 96
# On a phone a figure is scrolled sooner than its letters become too small to read.
_SMALLEST = 0.7
# matplotlib's defaults for lines and letters, and for paper; other colours are data and stay.
_INK, _PAPER = "#000000", "#ffffff"


def to_svg(figure: Figure, name: str) -> str:
    """Return a figure as an ``<svg>`` element that takes the width it is given, but not far below its own.

    Args:
        figure: Is laid out and drawn; what is drawn in black and white takes the colours of the page.
        name: Differs from those of the page's other figures: their inner names must not meet.
    """
    written = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(written, format="svg", transparent=True, metadata=metadata)
    head, rest = _BEFORE.sub("", written.getvalue(), count=1).split(">", 1)
    # As wide as it was drawn, or as the page: letters of all figures are about as large.
    width_px = round(figure.get_figwidth() * _PX_PER_INCH)
    style = f"max-width: {width_px}px; min-width: {round(_SMALLEST * width_px)}px"
    text = f'{_SIZE.sub("", head)} style="{style}">{rest}'
    for pattern, put in ((_STYLE, ""), (_GROUP, "<g"), (_FONT, "")):
        text = pattern.sub(put, text)
    return _renamed(text, name).replace(_INK, "currentColor").replace(_PAPER, "var(--paper)").strip()


def _renamed(text: str, name: str) -> str:
    """Number the inner names: matplotlib makes those of clip paths from addresses in memory."""
    known = {old: f"{name}-{number}" for number, old in enumerate(dict.fromkeys(_NAME.findall(text)))}
    return _REFERENCE.sub(lambda found: f"{found[1]}{known.get(found[2], found[2])}", text)
