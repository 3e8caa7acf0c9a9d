"""Columns to slices: groups of pictures that have something in common, in all classes or in one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from catsdogs.core.columns import Column, NumberColumn, WordColumn
from catsdogs.core.predictions import FloatArray, IntArray

# A share of fewer pictures has an interval too wide to say anything.
LEAST_PICTURES = 10
# Cuts at these quantiles of the pictures concerned, and what lies between is called.
_QUARTERS = (0.25, 0.5, 0.75)
_OUTER = (0.1, 0.9)
# Words of a column with a slice of their own: patients or cameras may be many.
_MOST_WORDS = 50

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Slice:
    """Pictures that have something in common.

    Attributes:
        column: Name of the column that they are alike in.
        title: Such as ``dark``.
        rule: Such as ``brightness up to 0.31``.
        of_class: The true class that the slice is a part of, or None where it is a part of all pictures.
        members: Ascending positions.
    """

    column: str
    title: str
    rule: str
    of_class: int | None
    members: IntArray


def slices_of(columns: Sequence[Column], labels: IntArray, classes: int) -> list[Slice]:
    """Return every slice with ten pictures or more in it and outside it.

    A slice of one class is compared with that class. Numbers are cut at quartiles, and at the outer tenths,
    of the pictures concerned; words are taken as they are, the 50 most frequent of a column.

    Args:
        columns: Of N values each.
        labels: (N,) in [0, classes).
        classes: How many.
    """
    domains: list[tuple[int | None, IntArray]] = [(None, np.arange(len(labels)))]
    if len(np.unique(labels)) > 1:
        domains += [(label, np.flatnonzero(labels == label)) for label in range(classes)]
    found = []
    for column in columns:
        for of_class, domain in domains:
            parts = _numbers if isinstance(column, NumberColumn) else _words
            seen: set[bytes] = set()
            for title, rule, inside in parts(column.take(domain.tolist())):  # type: ignore[arg-type]
                enough = LEAST_PICTURES <= inside.sum() <= len(domain) - LEAST_PICTURES
                # Where many values are equal, two cuts may be the same.
                if enough and inside.tobytes() not in seen:
                    seen.add(inside.tobytes())
                    found.append(Slice(column.name, title, rule, of_class, domain[inside]))
    return found


def _numbers(column: NumberColumn) -> Iterator[tuple[str, str, Mask]]:
    values, name = column.values, column.name
    known = values[~np.isnan(values)]
    if not len(known):
        return
    unit = f" {column.unit}" if column.unit else ""
    lowest, low, middle, high, highest = (_tidy(known, q) for q in sorted((*_QUARTERS, *_OUTER)))
    yield column.low, f"{name} up to {low:.3g}{unit}", values <= low
    yield column.high, f"{name} above {high:.3g}{unit}", values > high
    yield f"very {column.low}", f"{name} up to {lowest:.3g}{unit}", values <= lowest
    yield f"very {column.high}", f"{name} above {highest:.3g}{unit}", values > highest
    for word, above, below in ((column.low, low, middle), (column.high, middle, high)):
        rule = f"{name} above {above:.3g} up to {below:.3g}{unit}"
        yield f"rather {word}", rule, (values > above) & (values <= below)


def _tidy(known: FloatArray, quantile: float) -> float:
    """Return a quantile with the three digits that the rule shows: who reads it finds the same pictures."""
    return float(f"{np.quantile(known, quantile):.3g}")


def _words(column: WordColumn) -> Iterator[tuple[str, str, Mask]]:
    frequent = Counter(value for value in column.values if value is not None).most_common(_MOST_WORDS)
    for word, _ in sorted(frequent):
        yield (
            f"{column.name} {word}",
            f"{column.name} is {word}",
            np.array([v == word for v in column.values]),
        )
