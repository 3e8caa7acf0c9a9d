"""Labels that look wrong: confident learning on what models say of pictures that they have not learned from.

A picture is suspected where a model that has never seen it is more sure of another class than it usually is
of that class's own pictures. A model that is confidently wrong looks just the same: the list is for eyes.

Source: Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels",
JAIR 70; ties between confident classes and the calibration of the joint as in cleanlab 2.9.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from catsdogs.core.errors import DataError
from catsdogs.core.estimate import Estimate
from catsdogs.core.predictions import FloatArray, IntArray, Predictions, log_softmax
from catsdogs.core.stored import Stored
from catsdogs.evaluation.resampling import bootstrap, percentile_interval

MOST_KEPT = 60
# Probabilities this close are equal, as in cleanlab: a class whose pictures all have one would else be empty.
_CLOSE = 1e-6
# Above every probability: a class without pictures is never confident.
_NEVER = 2.0
_RESAMPLES = 500
# Below this agreement a list of label errors is mostly one of the model's.
_TRUSTED = 0.8


@dataclass(frozen=True, slots=True)
class LabelDoubt:
    """A picture, and how its label stands.

    Attributes:
        id: Of the picture.
        given: Its label.
        suggested: The most probable class; ``given`` itself where that is the one, or where nothing was
            predicted.
        probability: Out-of-sample, of ``given``, in [0, 1]; NaN where nothing was predicted.
        surety: The probability of ``suggested``; NaN likewise.
        score: ln of how many times more probable ``given`` is than the best other class; NaN likewise.
        suspected: Whether somebody should look.
        reason: Why, in a few words; empty where it is not suspected.
    """

    id: str
    given: str
    suggested: str
    probability: float
    surety: float
    score: float
    suspected: bool
    reason: str = ""

    @property
    def caption(self) -> str:
        """What stands under its picture."""
        if math.isnan(self.probability):
            return f"given {self.given}"
        return f"given {self.given}, looks like {self.suggested} {self.surety:.2f}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; NaN becomes null."""
        return {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LabelDoubt:
        """Build it from the plain values of ``to_dict``."""
        plain: dict[str, Any] = {name: math.nan if one is None else one for name, one in values.items()}
        return cls(**plain)


@dataclass(frozen=True)
class LabelCheck(Stored):
    """What is known about the labels of a data set.

    Attributes:
        n: Pictures that were looked at.
        suspected: How many of them somebody should look at.
        errors: Estimated number of wrong labels, whichever they are. Confident mistakes of the model count.
        agreement: Share of the labels that are the most probable class, in [0, 1].
        conflicting: Pictures with a duplicate of another label; they are suspected in any case.
        origin: Where the probabilities come from, in words.
        first: The first of the list, ``MOST_KEPT`` at most.
    """

    KIND: ClassVar[str] = "a check of labels"

    n: int
    suspected: int
    errors: Estimate
    agreement: float
    conflicting: int
    origin: str
    first: tuple[LabelDoubt, ...]

    @property
    def sentence(self) -> str:
        """What was found, for one line."""
        looks = "looks" if self.suspected == 1 else "look"
        return f"{self.suspected:,} of {self.n:,} {looks} wrong"

    @property
    def caution(self) -> str:
        """Why the list may be one of the model's mistakes; empty where the model is good enough."""
        if self.agreement >= _TRUSTED:
            return ""
        agreed = f"the model agrees with {self.agreement:.0%} of the labels only"
        return f"{agreed}: most of these are likely its own mistakes"

    @property
    def estimate(self) -> str:
        """How many errors there may be, for one line."""
        errors = self.errors
        number = f"{errors.value:.0f}"
        plural = "" if number == "1" else "s"
        return f"about {number} error{plural} in all (95 %: {errors.low:.0f} to {errors.high:.0f})"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "n": self.n,
            "suspected": self.suspected,
            "errors": self.errors.to_dict(),
            "agreement": self.agreement,
            "conflicting": self.conflicting,
            "origin": self.origin,
            "first": [doubt.to_dict() for doubt in self.first],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LabelCheck:
        """Build it from the plain values of ``to_dict``.

        Raises:
            DataError: A part is missing or has another form.
        """
        try:
            first = tuple(LabelDoubt.from_dict(plain) for plain in values["first"])
            return cls(**dict(values) | {"errors": Estimate.from_dict(values["errors"]), "first": first})
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"this is not a check of labels: {error}") from error


@dataclass(frozen=True, slots=True)
class Conflict:
    """A picture with a duplicate of another label.

    Attributes:
        given: Its label.
        reason: Which duplicate is called what.
    """

    given: str
    reason: str


def check_labels(
    predictions: Predictions, conflicts: Mapping[str, Conflict], *, origin: str, seed: int = 0
) -> tuple[LabelCheck, tuple[LabelDoubt, ...]]:
    """Return what is known about the labels, and the whole list, the most doubtful first.

    Args:
        predictions: Out of sample and calibrated, with the given labels; unreadable pictures are passed over.
        conflicts: Id -> what a duplicate says; also of pictures that were not predicted.
        origin: Where the predictions come from, in words.
        seed: Of the bootstrap interval of the number of errors.

    Raises:
        DataError: No picture with a label was predicted.
    """
    scored = predictions.scorable()
    if not len(scored):
        raise DataError("there are no labels to check: no picture with a label was predicted")
    doubts = _ranked([*_doubts(scored, conflicts), *_unpredicted(scored, conflicts)])
    check = LabelCheck(
        n=len(doubts),
        suspected=sum(doubt.suspected for doubt in doubts),
        errors=estimated_errors(scored.probabilities, scored.labels, seed=seed),
        agreement=float((scored.predicted == scored.labels).mean()),
        conflicting=len(conflicts),
        origin=origin,
        first=doubts[:MOST_KEPT],
    )
    return check, doubts


def suspected_labels(probabilities: FloatArray, labels: IntArray) -> npt.NDArray[np.bool_]:
    """Return bool (N,): another class is confident, and more probable than the given one.

    A class is confident of a picture where its probability is at least the mean that it has among the
    pictures that are given it.

    Args:
        probabilities: Out-of-sample (N, C), rows summing to 1.
        labels: The given classes (N,) in [0, C).
    """
    guess = _confident_class(probabilities, _thresholds(probabilities, labels, np.ones(len(labels))))
    own = probabilities[np.arange(len(labels)), labels]
    surpassed = probabilities.max(axis=1) > own + _CLOSE
    return np.asarray((guess >= 0) & (guess != labels) & surpassed)


def estimated_errors(probabilities: FloatArray, labels: IntArray, *, seed: int = 0) -> Estimate:
    """Return how many labels are wrong, from the calibrated confident joint, with a bootstrap interval.

    Of the pictures of each given class, those that are confident of any class tell which share belongs
    elsewhere; that share is taken of all its pictures.

    Args:
        probabilities: Out-of-sample (N, C), rows summing to 1.
        labels: The given classes (N,) in [0, C).
        seed: Of the resamples of pictures.
    """

    def count(weights: FloatArray) -> FloatArray:
        return np.array([_wrong(probabilities, labels, column) for column in weights.T])

    n = len(labels)
    value = _wrong(probabilities, labels, np.ones(n))
    found = bootstrap({"errors": count}, n, seed=seed, resamples=_RESAMPLES)["errors"]
    return percentile_interval(value, found)


def _wrong(probabilities: FloatArray, labels: IntArray, weights: FloatArray) -> float:
    """Return the pictures outside the diagonal of the calibrated joint, each counted ``weights`` times."""
    classes = probabilities.shape[1]
    guess = _confident_class(probabilities, _thresholds(probabilities, labels, weights))
    sure = guess >= 0
    cells = np.bincount(classes * labels[sure] + guess[sure], weights[sure], classes * classes)
    joint = cells.reshape(classes, classes)
    np.fill_diagonal(joint, np.maximum(joint.diagonal(), 1.0))
    given = np.bincount(labels, weights, classes)
    return float((given * (1 - joint.diagonal() / joint.sum(axis=1))).sum())


def _thresholds(probabilities: FloatArray, labels: IntArray, weights: FloatArray) -> FloatArray:
    """Return (C,): the mean probability of each class among the pictures that are given it."""
    classes = probabilities.shape[1]
    own = probabilities[np.arange(len(labels)), labels]
    total, given = np.bincount(labels, weights * own, classes), np.bincount(labels, weights, classes)
    means = np.divide(total, given, out=np.full(classes, _NEVER), where=given > 0)
    return np.asarray(np.maximum(means, 2 * _CLOSE))


def _confident_class(probabilities: FloatArray, thresholds: FloatArray) -> IntArray:
    """Return (N,): the class that is confident, of several the most probable one; -1 where none is."""
    confident = probabilities >= thresholds - _CLOSE
    several = confident.sum(axis=1) > 1
    guess = np.where(several, probabilities.argmax(axis=1), confident.argmax(axis=1))
    return np.where(confident.any(axis=1), guess, -1)


def _doubts(scored: Predictions, conflicts: Mapping[str, Conflict]) -> list[LabelDoubt]:
    probabilities, labels, names = scored.probabilities, scored.labels, scored.class_names
    logs, places = log_softmax(scored.logits), np.arange(len(scored))
    own = logs[places, labels]
    others = logs.copy()
    others[places, labels] = -np.inf
    # In logarithms: of many pictures the probability of the given class rounds to 0, and they would tie.
    scores = own - others.max(axis=1)
    suspected = suspected_labels(probabilities, labels)
    best = np.where(scores < 0, scored.predicted, labels)
    doubts = []
    for place, id in enumerate(scored.ids):
        suggested = names[best[place]]
        reasons = [f"looks like {suggested}"] if suspected[place] else []
        reasons += [conflicts[id].reason] if id in conflicts else []
        doubts.append(
            LabelDoubt(
                id=id,
                given=names[labels[place]],
                suggested=suggested,
                probability=float(probabilities[place, labels[place]]),
                surety=float(probabilities[place, best[place]]),
                score=float(scores[place]),
                suspected=bool(reasons),
                reason="; ".join(reasons),
            )
        )
    return doubts


def _unpredicted(scored: Predictions, conflicts: Mapping[str, Conflict]) -> list[LabelDoubt]:
    known = set(scored.ids)
    return [
        LabelDoubt(
            id, found.given, found.given, math.nan, math.nan, math.nan, suspected=True, reason=found.reason
        )
        for id, found in conflicts.items()
        if id not in known
    ]


def _ranked(doubts: list[LabelDoubt]) -> tuple[LabelDoubt, ...]:
    """Sort: suspected ones first, then by score; those without a score close their part."""
    return tuple(
        sorted(doubts, key=lambda one: (not one.suspected, math.inf if math.isnan(one.score) else one.score))
    )
