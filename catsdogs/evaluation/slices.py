"""Where a model fails: slices with worse answers than the rest, corrected for looking at many.

A model may be right because of the light, not because of the animal. Then it fails on the pictures where the
two part, and a slice such as "dark cats" shows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np

from catsdogs.core.columns import Column
from catsdogs.core.errors import DataError
from catsdogs.core.estimate import Estimate
from catsdogs.core.predictions import FloatArray, Predictions
from catsdogs.core.stored import Stored
from catsdogs.core.temperature import log_losses
from catsdogs.evaluation.association import ClassDifference
from catsdogs.evaluation.intervals import difference, wilson
from catsdogs.evaluation.maxtest import larger_than_the_rest
from catsdogs.evaluation.mistakes import Answer, answers_at
from catsdogs.evaluation.slicing import Slice, slices_of

LEVEL = 0.05
_WITH_PICTURES = 5
_PICTURES = 12
# Of a thousand classes there are tens of thousands of slices; nobody reads the harmless ones.
_KEPT = 200


@dataclass(frozen=True)
class SliceResult:
    """How a model does on a slice.

    Attributes:
        column: Name of the property that its pictures are alike in.
        title: Such as ``cat: dark``; a slice of one class starts with that class.
        rule: Such as ``brightness up to 0.31``.
        of_class: The class that it is a part of; None of a part of all pictures.
        n: Pictures.
        accuracy: Share of right answers.
        rest: The same of the others: of the same class, or of all.
        difference: The first less the second, in [-1, 1].
        log_loss: Mean over the slice.
        rest_log_loss: Mean over the others.
        p_value: That the slice is no worse than the others, corrected for all slices.
        found: Whether that is below 0.05, and the interval of the difference below 0.
        bias: Whether, besides, its property tells the classes apart in the training pictures: the model is
            worse here because it has learned the property. A slice that is found without it is harder.
        pictures: Of the worst slices, some pictures: mistakes first, the most confident first, then the
            least sure right answers.
    """

    column: str
    title: str
    rule: str
    of_class: str | None
    n: int
    accuracy: Estimate
    rest: Estimate
    difference: Estimate
    log_loss: float
    rest_log_loss: float
    p_value: float
    found: bool
    bias: bool = False
    pictures: tuple[Answer, ...] = ()

    def sentence(self) -> str:
        """Return one line about it."""
        others = f"of the other {self.of_class} pictures" if self.of_class else "of the others"
        own = self.accuracy
        return (
            f"{self.title} ({self.rule}): {own.value:.1%} ({own.low:.1%} to {own.high:.1%}) of {self.n:,} "
            f"are right against {self.rest.value:.1%} {others}, log loss {self.log_loss:.3f} against "
            f"{self.rest_log_loss:.3f}, corrected p {self.p_value:.2g}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        figures = {name: getattr(self, name).to_dict() for name in _ESTIMATES}
        return asdict(self) | figures

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SliceResult:
        """Build it from the plain values of ``to_dict``."""
        figures = {name: Estimate.from_dict(values[name]) for name in _ESTIMATES}
        return cls(**{**values, **figures, "pictures": tuple(Answer(**one) for one in values["pictures"])})


_ESTIMATES = ("accuracy", "rest", "difference")


@dataclass(frozen=True)
class SlicesReport(Stored):
    """Slices of the pictures of one evaluation.

    Attributes:
        n: Pictures that were scored.
        accuracy: Over all of them.
        tested: Slices that were looked at.
        slices: The first 200 of them. Those of a bias come first, by how well their property tells the
            classes apart in training; then the worst.
        training: What differs between the classes in the training pictures, the most first; empty where that
            is not known.
    """

    KIND: ClassVar[str] = "a report of slices"

    n: int
    accuracy: Estimate
    tested: int
    slices: tuple[SliceResult, ...]
    training: tuple[ClassDifference, ...] = ()

    @property
    def found(self) -> tuple[SliceResult, ...]:
        """The slices that are worse than the rest beyond chance."""
        return tuple(one for one in self.slices if one.found)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "n": self.n,
            "accuracy": self.accuracy.to_dict(),
            "tested": self.tested,
            "slices": [one.to_dict() for one in self.slices],
            "training": [one.to_dict() for one in self.training],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SlicesReport:
        """Build the report from the plain values of ``to_dict``.

        Raises:
            DataError: A part is missing or has another form.
        """
        try:
            return cls(
                n=values["n"],
                accuracy=Estimate.from_dict(values["accuracy"]),
                tested=values["tested"],
                slices=tuple(SliceResult.from_dict(one) for one in values["slices"]),
                training=tuple(ClassDifference.from_dict(one) for one in values["training"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"these are not slices: {error}") from error


def find_slices(
    predictions: Predictions,
    columns: Sequence[Column],
    *,
    training: Sequence[ClassDifference] = (),
    seed: int = 0,
) -> SlicesReport:
    """Compare every slice with the rest of the pictures, or of its class.

    Some photos are harder than others for any model: blurred ones, say. Those are found, and are no bias.

    What is tested is a picture's surprise, the square root of its log loss: it sees doubt before that becomes
    errors, and no single confident mistake decides. Pictures change places within their true class only, so
    a class that is harder than another makes no slice. See ``maxtest`` for the guarantee, and
    ``tests/evaluation/test_slices.py`` and docs/LOG.md for why this test.

    Args:
        predictions: Of one model; unreadable and unlabelled pictures are passed over.
        columns: One value for each of ``predictions.ids``.
        training: What differs between the classes in the training pictures.
        seed: The same seed gives the same p-values.
    """
    scorable = np.flatnonzero(predictions.readable & (predictions.labels >= 0))
    scored = predictions.select(scorable)
    columns = [column.take(scorable.tolist()) for column in columns]
    right = scored.predicted == scored.labels
    losses = log_losses(scored.logits, scored.labels)
    accuracy = wilson(int(right.sum()), len(scored))
    slices = slices_of(columns, scored.labels, len(scored.class_names))
    if not slices:
        return SlicesReport(len(scored), accuracy, 0, (), tuple(training))
    test = larger_than_the_rest(np.sqrt(losses), [one.members for one in slices], scored.labels, seed=seed)
    # What tells the classes apart best is what the model most likely learned; other properties follow it.
    learned: dict[str, float] = {}
    for one in training:
        if one.telling:
            learned[one.column] = max(one.auroc.value, learned.get(one.column, 0.0))
    told = np.array([learned.get(one.column, 0.0) for one in slices]) * (test.p_value < LEVEL)
    biased = told > 0
    order = np.lexsort((-test.statistic, -told))[:_KEPT].tolist()
    judged = [_judged(slices[at], scored, right, losses, float(test.p_value[at])) for at in order]
    results = [
        replace(one, bias=bool(biased[at]) and one.found) for one, at in zip(judged, order, strict=True)
    ]
    for place, at in enumerate(order):
        if place < (2 * _WITH_PICTURES if results[place].found else _WITH_PICTURES):
            results[place] = replace(results[place], pictures=_pictures(scored, slices[at]))
    return SlicesReport(len(scored), accuracy, len(slices), tuple(results), tuple(training))


def _judged(
    one: Slice, scored: Predictions, right: FloatArray, losses: FloatArray, p_value: float
) -> SliceResult:
    others = np.ones(len(scored), dtype=np.bool_) if one.of_class is None else scored.labels == one.of_class
    others[one.members] = False
    own = wilson(int(right[one.members].sum()), len(one.members))
    rest = wilson(int(right[others].sum()), int(others.sum()))
    name = None if one.of_class is None else scored.class_names[one.of_class]
    worse = difference(own, rest)
    return SliceResult(
        column=one.column,
        title=one.title if name is None else f"{name}: {one.title}",
        rule=one.rule,
        of_class=name,
        n=len(one.members),
        accuracy=own,
        rest=rest,
        difference=worse,
        log_loss=float(losses[one.members].mean()),
        rest_log_loss=float(losses[others].mean()),
        p_value=p_value,
        # More doubt alone is nothing to act on: errors must show it, too.
        found=p_value < LEVEL and worse.high < 0,
    )


def _pictures(scored: Predictions, one: Slice) -> tuple[Answer, ...]:
    """Return mistakes, the most confident first, then right answers, the least sure first."""
    confidence = scored.probabilities[one.members].max(axis=1)
    wrong = scored.predicted[one.members] != scored.labels[one.members]
    order = np.lexsort((np.where(wrong, -confidence, confidence), ~wrong))
    return answers_at(scored, one.members[order[:_PICTURES]])
