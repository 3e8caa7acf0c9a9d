"""Blocks: what a page is made of before it is HTML. A section is made from results, never from a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from matplotlib.figure import Figure


@dataclass(frozen=True)
class Words:
    """A paragraph of plain text."""

    text: str


@dataclass(frozen=True)
class Grid:
    """A table.

    Attributes:
        title: Says what the rows are.
        header: One a column; the first column names the row.
        rows: Cells as text, each as long as the header.
        folded: Whether it is hidden until somebody asks for it.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    folded: bool = False


@dataclass(frozen=True)
class Drawing:
    """A figure, and in words what it shows.

    Attributes:
        title: Stands above it.
        figure: Draws it, in matplotlib's default colours of text and axes, which follow the page's light or
            dark; called only where the page shows figures.
        text: What somebody who cannot see it should know: numbers, not "a line goes up".
    """

    title: str
    figure: Callable[[], Figure]
    text: str


@dataclass(frozen=True)
class Thumb:
    """A small picture.

    Attributes:
        id: Of the picture, as in ``Predictions.ids``.
        caption: Plain text under it.
    """

    id: str
    caption: str


@dataclass(frozen=True)
class Gallery:
    """Small pictures beside each other.

    Attributes:
        title: Says what they have in common.
        pictures: The first to look at first.
        folded: Whether they are hidden until somebody asks for them.
        anchor: What a link on the page calls it; empty where none leads here.
    """

    title: str
    pictures: tuple[Thumb, ...]
    folded: bool = False
    anchor: str = ""


@dataclass(frozen=True)
class Confusion:
    """How often each class was called what.

    Attributes:
        names: C of them.
        counts: C rows of C; row is the true class, column the predicted one.
        anchors: (row, column) -> anchor of the gallery with that cell's pictures.
    """

    names: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    anchors: Mapping[tuple[int, int], str]


@dataclass(frozen=True)
class Code:
    """Text of a file, as it is."""

    title: str
    text: str


Block = Words | Grid | Drawing | Gallery | Confusion | Code


@dataclass(frozen=True)
class Section:
    """A part of the page under a heading.

    Attributes:
        anchor: What links call it: letters and hyphens.
        title: The heading.
        lead: One or two sentences that say what was found.
        blocks: The rest.
    """

    anchor: str
    title: str
    lead: str
    blocks: tuple[Block, ...] = ()
