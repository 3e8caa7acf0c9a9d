"""Two answers to the same pictures: what the second has mended and spoilt, and whether that may be chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from catsdogs.core.estimate import Estimate
from catsdogs.evaluation.intervals import paired_gain

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Pairing:
    """How many pictures two answers got right and wrong, together and alone.

    Attributes:
        mended: Only the second is right.
        spoilt: Only the first is right.
        both_right: Both are.
        both_wrong: Neither is.
    """

    mended: int
    spoilt: int
    both_right: int
    both_wrong: int

    @classmethod
    def of(cls, before: BoolArray, after: BoolArray) -> Pairing:
        """Count, from whether the first and the second are right about each picture, (N,)."""
        counts = (after & ~before, before & ~after, before & after, ~before & ~after)
        return cls(*(int(one.sum()) for one in counts))

    @property
    def gain(self) -> Estimate:
        """How much larger the second's share of right answers is, in [-1, 1]."""
        return paired_gain(self.mended, self.spoilt, self.both_right, self.both_wrong)

    @property
    def p_value(self) -> float:
        """Of the exact test that mending and spoiling are equally likely; 1 where nothing changed.

        Source: McNemar 1947; exact by the binomial distribution of the pictures that changed.

        >>> round(Pairing(12, 4, 1900, 84).p_value, 4)
        0.0768
        """
        changed = self.mended + self.spoilt
        return float(binomtest(self.mended, changed).pvalue) if changed else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number: those below 5 % hold together with 95 % confidence.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected = [0.0] * len(p_values)
    least = 0.0
    for rank, place in enumerate(np.argsort(p_values, kind="stable").tolist()):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = least
    return corrected
