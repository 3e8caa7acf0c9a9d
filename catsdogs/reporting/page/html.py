"""Sections to one HTML file that needs nothing beside it: no network, no other file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from catsdogs.core.printable import printable
from catsdogs.reporting.page.blocks import Drawing, Section
from catsdogs.reporting.page.thumbnails import Opened, Thumbnails
from catsdogs.reporting.page.vector import to_svg


@dataclass(frozen=True)
class Part:
    """Sections that belong together, such as those of one of several runs.

    Attributes:
        anchor: Letters, digits and hyphens; differs from that of other parts.
        title: Of the fold that they are in; empty where they stand open on the page.
        sections: In their order.
        opened: Opens a picture by its id; another part may call another picture by the same.
    """

    anchor: str
    title: str
    sections: tuple[Section, ...]
    opened: Opened


def render(title: str, parts: Sequence[Part]) -> str:
    """Return the page; from equal values it is equal to the last byte.

    Args:
        title: Of the page.
        parts: Sections, in their order.
    """
    template = _environment().get_template("page.html")
    return template.render(
        title=title,
        parts=parts,
        thumbnails={part.anchor: Thumbnails(part.opened) for part in parts},
        svg=_Drawn().svg,
        kind=_kind,
        text=printable,
        lines=_lines,
    )


class _Drawn:
    """Numbers the figures of a page."""

    def __init__(self) -> None:
        self._count = 0

    def svg(self, drawing: Drawing) -> str:
        """Return one as SVG; its inner names are its own."""
        self._count += 1
        return to_svg(drawing.figure(), f"figure-{self._count}")


def _kind(block: Any) -> str:
    return type(block).__name__.lower()


def _lines(text: str) -> str:
    return "\n".join(map(printable, text.splitlines()))


@cache
def _environment() -> Environment:
    """Return the templates; what they are given is escaped."""
    return Environment(
        loader=PackageLoader("catsdogs.reporting.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
