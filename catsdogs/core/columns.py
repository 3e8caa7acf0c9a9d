"""Columns: what is known about pictures beside their label, as numbers or as words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from catsdogs.core.predictions import FloatArray


@dataclass(frozen=True, eq=False)
class NumberColumn:
    """A number a picture.

    Attributes:
        name: As people say it, such as ``brightness``.
        values: Float64 (N,); NaN where it is not known.
        low: What a picture with a small value is called, such as ``dark``.
        high: What one with a large value is called.
        unit: Behind the numbers, such as ``kB``; empty where there is none.
    """

    name: str
    values: FloatArray
    low: str
    high: str
    unit: str = ""

    def take(self, positions: Sequence[int]) -> NumberColumn:
        """Return the column of these pictures, in this order."""
        return replace(self, values=self.values[np.asarray(positions, dtype=np.int64)])


@dataclass(frozen=True, eq=False)
class WordColumn:
    """A word a picture.

    Attributes:
        name: As people say it, such as ``format``.
        values: Length N; None where it is not known.
    """

    name: str
    values: tuple[str | None, ...]

    def take(self, positions: Sequence[int]) -> WordColumn:
        """Return the column of these pictures, in this order."""
        return replace(self, values=tuple(self.values[position] for position in positions))


Column = NumberColumn | WordColumn


def column_of_text(name: str, cells: Mapping[int, str], n: int, *, words_up_to: int) -> Column:
    """Return a column of text cells as numbers where all are, else as words.

    Args:
        name: Of the column.
        cells: Position of a picture -> text; what is blank is not known.
        n: Pictures.
        words_up_to: Numbers with so few different values, such as 0 and 1, are words.

    >>> column_of_text("age", {0: "3", 2: " 14.5"}, 3, words_up_to=1).values
    array([ 3. ,  nan, 14.5])
    >>> column_of_text("indoors", {0: "yes", 1: ""}, 2, words_up_to=1).values
    ('yes', None)
    """
    known = {position: text.strip() for position, text in cells.items() if text.strip()}
    try:
        numbers = {position: float(text) for position, text in known.items()}
    except ValueError:
        numbers = {}
    if len(set(numbers.values())) > words_up_to and np.isfinite(list(numbers.values())).all():
        values = np.full(n, np.nan)
        values[list(numbers)] = list(numbers.values())
        return NumberColumn(name, values, low=f"low {name}", high=f"high {name}")
    return WordColumn(name, tuple(known.get(position) for position in range(n)))
