"""Comparison: several models on the same pictures, each against the first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from catsdogs.core.errors import DataError
from catsdogs.core.estimate import Estimate
from catsdogs.core.stored import Stored


@dataclass(frozen=True, slots=True)
class Change:
    """A picture that one of two models got right and the other wrong.

    Attributes:
        id: Of the picture.
        true: Its class.
        before: What the first model calls it.
        after: What the other calls it.
        probability_before: That the first gives the true class.
        probability_after: That the other gives it.
    """

    id: str
    true: str
    before: str
    after: str
    probability_before: float
    probability_after: float


@dataclass(frozen=True)
class AgainstFirst:
    """One model against the first on the same pictures.

    Attributes:
        name: Of the model.
        gain: ``accuracy``, ``balanced_accuracy``, ``log_loss``, ``auroc`` -> how much better it is than the
            first, paired by picture; above 0 is better, of the log loss too.
        fixed: How many pictures the first got wrong and it gets right.
        broken: How many the other way round.
        p_value: Of the exact McNemar test, corrected by Holm for the number of models.
        fixed_pictures: Some of them, those that changed most first.
        broken_pictures: Likewise.
    """

    name: str
    gain: Mapping[str, Estimate]
    fixed: int
    broken: int
    p_value: float
    fixed_pictures: Sequence[Change] = ()
    broken_pictures: Sequence[Change] = ()


@dataclass(frozen=True)
class Comparison(Stored):
    """Models on the pictures that all of them have answered.

    Attributes:
        names: Of the models, M of them; the first is what the others are compared with.
        n: Pictures that were compared.
        left_out: Name -> how many of its pictures were not: another model lacks them, they have no label, or
            one of the models could not read them.
        figures: Name -> figure -> value with its interval.
        others: All but the first, each against it.
        gain_matrix: M rows of M: by how much the accuracy of the row's model is above that of the column's.
        p_matrix: M rows of M: p-values of the exact McNemar test, corrected by Holm for the number of pairs;
            1 on the diagonal.
    """

    KIND: ClassVar[str] = "a comparison"

    names: tuple[str, ...]
    n: int
    left_out: Mapping[str, int]
    figures: Mapping[str, Mapping[str, Estimate]]
    others: Sequence[AgainstFirst]
    gain_matrix: Sequence[Sequence[float]]
    p_matrix: Sequence[Sequence[float]]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; undefined figures become null."""
        return asdict(self) | {
            "names": list(self.names),
            "figures": {name: _plain(figures) for name, figures in self.figures.items()},
            "others": [asdict(other) | {"gain": _plain(other.gain)} for other in self.others],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Comparison:
        """Build it from the plain values of ``to_dict``.

        Raises:
            DataError: A part is missing or has another form.
        """
        try:
            return cls(
                names=tuple(values["names"]),
                n=int(values["n"]),
                left_out=dict(values["left_out"]),
                figures={name: _estimates(plain) for name, plain in values["figures"].items()},
                others=tuple(map(_against_first, values["others"])),
                gain_matrix=_rows(values["gain_matrix"]),
                p_matrix=_rows(values["p_matrix"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"this is not a comparison: {error}") from error


def _plain(figures: Mapping[str, Estimate]) -> dict[str, Any]:
    return {name: estimate.to_dict() for name, estimate in figures.items()}


def _estimates(plain: Mapping[str, Any]) -> dict[str, Estimate]:
    return {name: Estimate.from_dict(values) for name, values in plain.items()}


def _against_first(values: Mapping[str, Any]) -> AgainstFirst:
    lists = ("fixed_pictures", "broken_pictures")
    changes = {key: tuple(Change(**plain) for plain in values[key]) for key in lists}
    return AgainstFirst(**{**values, "gain": _estimates(values["gain"]), **changes})


def _rows(values: Sequence[Sequence[float]]) -> tuple[tuple[float, ...], ...]:
    rows = tuple(tuple(map(float, row)) for row in values)
    if not all(map(math.isfinite, (cell for row in rows for cell in row))):
        raise ValueError("a matrix holds no number")
    return rows
