"""EnsembleReport: what an ensemble is, what it brought, and why not more."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from catsdogs.core.comparison import Comparison
from catsdogs.core.errors import DataError
from catsdogs.core.estimate import Estimate
from catsdogs.core.stored import Stored


@dataclass(frozen=True, slots=True)
class OfSize:
    """What ensembles of so many of the members are worth, with equal weights, over the subsets looked at.

    Attributes:
        members: How many.
        subsets: How many subsets were looked at: all, or some drawn at random.
        error: Mean share of wrong answers.
        error_low: Of the best subset.
        error_high: Of the worst.
        log_loss: Mean.
        log_loss_low: Of the best subset.
        log_loss_high: Of the worst.
    """

    members: int
    subsets: int
    error: float
    error_low: float
    error_high: float
    log_loss: float
    log_loss_low: float
    log_loss_high: float


@dataclass(frozen=True)
class Judgement:
    """An ensemble on pictures that none of its members has learned from.

    Attributes:
        source: Where they come from: ``test`` or ``input``.
        comparison: The best single member, or the first, against the ensemble.
        members: Name -> share of wrong answers, of every member that was looked at.
        error: Share of wrong answers of the ensemble.
        independent_error: What a majority of the voting members would have if each were wrong as often as it
            is, but independently of the others.
        correlations: K rows of K, of the voting members: correlation (phi) of being wrong; NaN where a member
            is never, or always, wrong.
        all_wrong: Pictures that every voting member gets wrong.
        most_wrong: Pictures that more than half of them get wrong.
        sizes: Quality against the number of members.
        chosen: Whether other pictures have told which member is best; else the first is compared.
    """

    source: str
    comparison: Comparison
    members: Mapping[str, Estimate]
    error: Estimate
    independent_error: float
    correlations: Sequence[Sequence[float]]
    all_wrong: int
    most_wrong: int
    sizes: Sequence[OfSize]
    chosen: bool = True

    @property
    def mean_correlation(self) -> float:
        """Mean correlation of errors over the pairs of members for which it is defined; NaN without any."""
        known = [
            cell
            for place, row in enumerate(self.correlations)
            for cell in row[:place]
            if not math.isnan(cell)
        ]
        return math.fsum(known) / len(known) if known else math.nan

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; what is undefined becomes null."""
        return asdict(self) | {
            "comparison": self.comparison.to_dict(),
            "members": {name: one.to_dict() for name, one in self.members.items()},
            "error": self.error.to_dict(),
            "correlations": [
                [None if math.isnan(cell) else cell for cell in row] for row in self.correlations
            ],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Judgement:
        """Build it from the plain values of ``to_dict``."""
        rows = values["correlations"]
        return cls(
            **{
                **values,
                "comparison": Comparison.from_dict(values["comparison"]),
                "members": {name: Estimate.from_dict(plain) for name, plain in values["members"].items()},
                "error": Estimate.from_dict(values["error"]),
                "correlations": tuple(
                    tuple(math.nan if cell is None else float(cell) for cell in row) for row in rows
                ),
                "sizes": tuple(OfSize(**plain) for plain in values["sizes"]),
            }
        )


@dataclass(frozen=True)
class EnsembleReport(Stored):
    """What an ensemble is made of, how that was decided, and what it brought.

    Attributes:
        kind: ``soft`` or ``majority``, or ``soup`` where the weights of the networks were averaged.
        weights: Name of a voting member -> its weight; they sum to 1.
        left_out: Members that were looked at and have no vote.
        decided: In words, how weights and members were decided.
        heldout: Pictures that no member has learned from which decided them; 0 where there were none.
        temperature: Of the ensemble.
        judgement: On other pictures; None where there were none.
    """

    KIND: ClassVar[str] = "a report of an ensemble"

    kind: str
    weights: Mapping[str, float]
    left_out: tuple[str, ...]
    decided: str
    heldout: int
    temperature: float
    judgement: Judgement | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self) | {
            "weights": dict(self.weights),
            "left_out": list(self.left_out),
            "judgement": None if self.judgement is None else self.judgement.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EnsembleReport:
        """Build it from the plain values of ``to_dict``.

        Raises:
            DataError: A part is missing or has another form.
        """
        try:
            judgement = values["judgement"]
            return cls(
                **{
                    **values,
                    "left_out": tuple(values["left_out"]),
                    "judgement": None if judgement is None else Judgement.from_dict(judgement),
                }
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"this is no report of an ensemble: {error}") from error
