"""Abstention: what withholding the least sure answers brings, and from which confidence on to answer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from catsdogs.core.estimate import Estimate
from catsdogs.core.predictions import FloatArray, Predictions
from catsdogs.evaluation.intervals import wilson

_POINTS = 200


@dataclass(frozen=True)
class RiskCoverage:
    """How often answers are wrong when only the surest are given.

    Attributes:
        coverage: Float64 (K,) ascending in (0, 1]: share of the pictures that get an answer.
        risk: K estimates: share of those answers that are wrong.
        threshold: Float64 (K,) descending: the confidence from which on answers are given.
    """

    coverage: FloatArray
    risk: tuple[Estimate, ...]
    threshold: FloatArray


def risk_coverage(predictions: Predictions) -> RiskCoverage:
    """Return the curve over labelled, readable pictures, at up to 200 places.

    Pictures of equal confidence are answered together, so it does not depend on their order.

    Source: El-Yaniv and Wiener 2010, "On the Foundations of Noise-free Selective Classification".
    """
    confidence, wrong = _surest_first(predictions)
    last_of_equals = np.flatnonzero(np.diff(confidence, append=-1.0))
    if len(last_of_equals) > _POINTS:
        places = np.unique(np.linspace(0, len(last_of_equals) - 1, _POINTS).round().astype(np.int64))
        last_of_equals = last_of_equals[places]
    mistakes = np.cumsum(wrong)[last_of_equals]
    answered = last_of_equals + 1
    return RiskCoverage(
        coverage=answered / len(wrong),
        risk=tuple(wilson(int(m), int(n)) for m, n in zip(mistakes, answered, strict=True)),
        threshold=confidence[last_of_equals],
    )


@dataclass(frozen=True)
class Threshold:
    """From which confidence on to answer, so that few answers are wrong.

    Attributes:
        error_rate: What was wanted: the share of all pictures that get a wrong answer.
        confidence: The smallest that keeps the promise; infinite where no answer does.
        held_out: Pictures that it was learned from.

    The promise: of new pictures like the held-out ones, at most ``error_rate`` get a wrong answer, on average
    over the draw of both. It needs no calibration and holds for any model; not for other kinds of pictures.

    Source: Angelopoulos et al. 2024, "Conformal Risk Control", theorem 1; the loss of a picture is 1 where it
    is answered and wrong, which can only fall as the threshold rises.
    """

    error_rate: float
    confidence: float
    held_out: int

    @property
    def possible(self) -> bool:
        """Whether there is an answer that keeps the promise."""
        return math.isfinite(self.confidence)


def conformal_threshold(held_out: Predictions, error_rate: float) -> Threshold:
    """Learn the threshold for a wanted error rate from answers with labels that taught the model nothing.

    Fewer than 1 / ``error_rate`` - 1 pictures promise nothing.

    Args:
        held_out: As ``workflows.heldout`` returns them.
        error_rate: In (0, 1).
    """
    confidence, wrong = _surest_first(held_out)
    n = len(wrong)
    # With one imagined mistake more: (mistakes + 1) / (n + 1) may be as high as the wanted rate.
    allowed = math.floor(error_rate * (n + 1) + 1e-9) - 1
    if allowed < 0:
        return Threshold(error_rate, math.inf, n)
    mistakes = confidence[wrong]
    if len(mistakes) <= allowed:
        return Threshold(error_rate, 0.0, n)
    # The surest mistake that may not be answered any more lies just below the threshold.
    return Threshold(error_rate, float(np.nextafter(mistakes[allowed], np.inf)), n)


@dataclass(frozen=True)
class Withheld:
    """What a threshold does to labelled pictures.

    Attributes:
        wrong: Share of all pictures that get a wrong answer: what was promised.
        answered: Share of the pictures that get an answer.
        accuracy: Share of the answers that are right.
    """

    wrong: Estimate
    answered: Estimate
    accuracy: Estimate


def withhold(predictions: Predictions, threshold: float) -> Withheld:
    """Return what answering from a confidence on gives."""
    confidence, wrong = _surest_first(predictions)
    given = confidence >= threshold
    mistakes, answers = int((wrong & given).sum()), int(given.sum())
    n = len(wrong)
    return Withheld(wilson(mistakes, n), wilson(answers, n), wilson(answers - mistakes, answers))


def _surest_first(predictions: Predictions) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Return confidence, descending, and whether the answer is wrong, of what can be scored."""
    scored = predictions.scorable()
    confidence = scored.probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    return confidence[order], (scored.predicted != scored.labels)[order]
