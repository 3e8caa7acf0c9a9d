"""95 % intervals by formula: of shares, their differences and their means.

All of them take the pictures for independent draws. Where they come in groups (patients, bursts) and groups
are alike inside, the truth is wider.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from catsdogs.core.estimate import Estimate

LEVEL = 0.95
_Z = NormalDist().inv_cdf((1 + LEVEL) / 2)
_HALVINGS = 40


def wilson(successes: int, trials: int) -> Estimate:
    """Return the share ``successes / trials`` with Wilson's score interval; undefined without trials.

    Unlike the textbook interval it has width when all or none succeed, and it holds for few trials.

    Source: Wilson 1927; Brown, Cai and DasGupta 2001, "Interval Estimation for a Binomial Proportion".

    >>> perfect = wilson(100, 100)
    >>> perfect.value, round(perfect.low, 4), perfect.high
    (1.0, 0.963, 1.0)
    """
    if trials == 0:
        return Estimate.undefined()
    p, extra = successes / trials, _Z * _Z / trials
    centre = (p + extra / 2) / (1 + extra)
    half = math.sqrt(p * (1 - p) * extra + extra * extra / 4) / (1 + extra)
    # Rounding could put the limits of 0 and 1 a hair on the wrong side.
    return Estimate(p, min(max(centre - half, 0.0), p), max(min(centre + half, 1.0), p))


def f1_interval(hits: int, union: int) -> Estimate:
    """Return F1 with its interval, from TP and the pictures that are of the class or are called it.

    TP / (TP + FP + FN) is a share of that union, so Wilson's interval holds for it, and F1 is a rising
    function of it: F1 = 2 j / (1 + j).

    Source: Hand, Christen and Kirielle 2021, "F*: an interpretable transformation of the F-measure".
    """
    j = wilson(hits, union)
    return Estimate(*(2 * limit / (1 + limit) for limit in (j.value, j.low, j.high)))


def paired_gain(mended: int, spoilt: int, both_right: int, both_wrong: int) -> Estimate:
    """Return how much larger one share of right answers is than another on the same pictures, in [-1, 1].

    Wilson's limits of both shares are combined with the correlation of the answers. It has width where
    nothing was mended or spoilt, which resampling would call certain.

    Args:
        mended: Pictures that only the first got right.
        spoilt: Pictures that only the second got right.
        both_right: Pictures that both got right.
        both_wrong: Pictures that neither got right.

    Source: Newcombe 1998, "Improved confidence intervals for the difference between binomial proportions
    based on paired data", method 10.

    >>> gain = paired_gain(12, 2, 36, 0)
    >>> round(gain.value, 3), round(gain.low, 4), round(gain.high, 4)
    (0.2, 0.0569, 0.3404)
    """
    n = mended + spoilt + both_right + both_wrong
    if n == 0:
        return Estimate.undefined()
    first, second = wilson(both_right + mended, n), wilson(both_right + spoilt, n)
    phi = _phi(mended, spoilt, both_right, both_wrong)
    gain = (mended - spoilt) / n
    down = _length(first.value - first.low, second.high - second.value, phi)
    up = _length(first.high - first.value, second.value - second.low, phi)
    return Estimate(gain, max(gain - down, -1.0), min(gain + up, 1.0))


def difference(first: Estimate, second: Estimate) -> Estimate:
    """Return how much larger one share is than another share of other pictures, in [-1, 1].

    Source: Newcombe 1998, "Interval estimation for the difference between independent proportions:
    comparison of eleven methods", method 10.

    >>> gap = difference(wilson(56, 70), wilson(48, 80))
    >>> round(gap.value, 3), round(gap.low, 4), round(gap.high, 4)
    (0.2, 0.0524, 0.3339)
    """
    if not (first.defined and second.defined):
        return Estimate.undefined()
    gap = first.value - second.value
    down = math.hypot(first.value - first.low, second.high - second.value)
    up = math.hypot(first.high - first.value, second.value - second.low)
    return Estimate(gap, max(gap - down, -1.0), min(gap + up, 1.0))


def mean_of_independent(estimates: Sequence[Estimate], *, lowest: float = 0.0) -> Estimate:
    """Return the mean of figures about different pictures, such as the recalls of the classes.

    Distances to the limits add up in quadrature; undefined figures are left out. ``lowest`` is the least that
    such a figure can be, as 1 is the most.

    Source: Zou and Donner 2008, "Construction of confidence limits about effect measures" (MOVER).
    """
    known = [estimate for estimate in estimates if estimate.defined]
    if not known:
        return Estimate.undefined()
    value = math.fsum(estimate.value for estimate in known) / len(known)
    down = math.hypot(*(estimate.value - estimate.low for estimate in known)) / len(known)
    up = math.hypot(*(estimate.high - estimate.value for estimate in known)) / len(known)
    return Estimate(value, max(value - down, lowest), min(value + up, 1.0))


def perfect_ranking(positives: int, negatives: int) -> Estimate:
    """Return an AUROC of 1 with its interval; resampling cannot give it any width.

    It is the score interval of the Mann-Whitney statistic, with the variance of exponential scores.

    Source: Newcombe 2006, "Confidence intervals for an effect size measure based on the Mann-Whitney
    statistic", part 2, method 5.

    >>> round(perfect_ranking(150, 150).low, 3)
    0.987
    """
    more = (positives + negatives) / 2 - 1

    def outside(theta: float) -> bool:
        spread = 1 + more * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        return (1 - theta) ** 2 > _Z * _Z * theta * (1 - theta) * spread / (positives * negatives)

    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if outside(middle) else (low, middle)
    return Estimate(1.0, low, 1.0)


def _phi(mended: int, spoilt: int, both_right: int, both_wrong: int) -> float:
    """Return the correlation of being right, corrected for continuity; 0 where it is undefined."""
    margins = (both_right + mended, spoilt + both_wrong, both_right + spoilt, mended + both_wrong)
    if not all(margins):
        return 0.0
    product: float = both_right * both_wrong - mended * spoilt
    n = sum(margins) / 2
    if product > 0:
        product = max(product - n / 2, 0)
    return product / math.sqrt(math.prod(margins))


def _length(one: float, other: float, phi: float) -> float:
    return math.sqrt(max(one * one - 2 * phi * one * other + other * other, 0.0))
