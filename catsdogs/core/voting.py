"""Vote: how the answers of several models become one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from catsdogs.core.errors import ModelError
from catsdogs.core.merging import log_mean_probability
from catsdogs.core.predictions import FloatArray, softmax

SOFT, MAJORITY = "soft", "majority"
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Vote:
    """How M members vote.

    Attributes:
        kind: ``soft``: the weighted mean of their probabilities. ``majority``: the weighted share of members
            that call a class.
        weights: One a member, above 0; they sum to 1.
        smoothing: Of a majority vote, in (0, 1): how much of the answer is the mean of the probabilities. It
            breaks ties and keeps every class possible, so that the log loss is finite.
    """

    kind: str
    weights: tuple[float, ...]
    smoothing: float = 0.0

    def __post_init__(self) -> None:
        """Check that this is a vote.

        Raises:
            ModelError: The kind is unknown, or a number is out of range.
        """
        if self.kind not in (SOFT, MAJORITY):
            raise ModelError(f"vote {self.kind!r} is not one of {SOFT}, {MAJORITY}")
        if not self.weights or not all(0 < weight <= 1 + _TOLERANCE for weight in self.weights):
            raise ModelError("the weights of the members are not above 0 and at most 1")
        if abs(math.fsum(self.weights) - 1) > _TOLERANCE:
            raise ModelError(f"the weights of the members sum to {math.fsum(self.weights):.6g}, not to 1")
        if self.kind == MAJORITY and not 0 < self.smoothing < 1:
            raise ModelError(f"a smoothing of {self.smoothing} is outside (0, 1)")

    @classmethod
    def of(cls, kind: str, ballots: Sequence[float]) -> Vote:
        """Return the vote in which members have so many ballots each, above 0.

        A majority is smoothed by one ballot in the hands of the mean: it decides where whole ballots are
        tied, and nowhere else.

        >>> Vote.of("majority", [1, 1, 2])
        Vote(kind='majority', weights=(0.25, 0.25, 0.5), smoothing=0.2)
        """
        total = math.fsum(ballots)
        weights = tuple(ballot / total for ballot in ballots)
        return cls(kind, weights, 1 / (total + 1) if kind == MAJORITY else 0.0)

    def merge(self, logits: FloatArray) -> FloatArray:
        """Merge calibrated logits (M, N, C); returns the logarithm of the answer, float64 (N, C).

        A member calls its most probable class, the first among equals.
        """
        mean = log_mean_probability(logits, self.weights)
        if self.kind == SOFT:
            return mean
        called = np.eye(logits.shape[2])[softmax(logits).argmax(axis=2)]  # (M, N, C)
        votes = np.tensordot(np.asarray(self.weights), called, axes=1)
        both = (1 - self.smoothing) * votes + self.smoothing * np.exp(mean)
        voted = np.log(both, out=np.zeros_like(both), where=votes > 0)
        # Where nobody calls a class its probability may be too small to be anything but a logarithm.
        return np.asarray(np.where(votes > 0, voted, math.log(self.smoothing) + mean))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self) | {"weights": list(self.weights)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Vote:
        """Build it from the plain values of ``to_dict``.

        Raises:
            ModelError: They are damaged.
        """
        try:
            weights = tuple(float(weight) for weight in values["weights"])
            return cls(str(values["kind"]), weights, float(values["smoothing"]))
        except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
            raise ModelError(f"the vote is damaged: {error}") from error
