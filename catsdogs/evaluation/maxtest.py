"""Which of many overlapping groups of pictures have larger values than the rest: one permutation test.

Under the hypothesis that a value has nothing to do with the groups, but for its stratum, values may change
places within a stratum. A group's statistic is the sum of its values, standardised by its exact mean and
standard deviation over those permutations. The largest statistic of each permutation is what the largest
would be by luck, however many groups there are and however they overlap (Westfall and Young 1993,
"Resampling-Based Multiple Testing", step-down max-T).

Guarantee: the chance of calling any group that is like the rest is at most the level, exactly where no group
differs, for any dependence between groups. It takes pictures for independent draws.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from catsdogs.core.predictions import FloatArray, IntArray

PERMUTATIONS = 1999
# Permutations are worked out in blocks of about 16 MB, and sets of very many pictures get fewer of them.
_BLOCK_CELLS = 2**21
_MOST_STEPS = 8_000_000_000
_FEWEST = 499
# Sums of the same values in another order differ by rounding.
_SAME = 1e-9


@dataclass(frozen=True)
class MaxTest:
    """What the test says about K groups.

    Attributes:
        statistic: Float64 (K,), how many standard deviations a group lies above what it would have by luck; 0
            where its values cannot differ.
        p_value: Float64 (K,), corrected for looking at all K.
    """

    statistic: FloatArray
    p_value: FloatArray


def larger_than_the_rest(
    values: FloatArray, groups: Sequence[IntArray], strata: IntArray, *, seed: int
) -> MaxTest:
    """Test K groups at once.

    Args:
        values: (N,).
        groups: Positions of the pictures of each group; they may overlap.
        strata: (N,) from 0; values change places only with others of their stratum.
        seed: The same seed gives the same permutations.
    """
    members = _members(groups, len(values))
    centred, variance = _standard(values, members, strata)
    scale = np.where(variance > _SAME, 1 / np.sqrt(np.maximum(variance, _SAME)), 0.0)
    statistic = (members @ centred) * scale
    order = np.argsort(-statistic, kind="stable")
    count = _permutations(members.nnz + len(values))
    reached = np.ones(len(groups))
    ranked = members[order]
    block = max(1, _BLOCK_CELLS // max(len(values), len(groups)))
    for shuffled in _shuffled(centred, strata, count, block, seed):
        drawn = (ranked @ shuffled) * scale[order, None]
        # The largest of this group and of those below it: the others are believed to differ.
        largest = np.maximum.accumulate(drawn[::-1], axis=0)[::-1]
        reached += (largest >= statistic[order, None] - _SAME).sum(axis=1)
    p_value = np.empty(len(groups))
    p_value[order] = np.maximum.accumulate(reached / (count + 1))
    return MaxTest(statistic, p_value)


def _members(groups: Sequence[IntArray], n: int) -> csr_matrix:
    """Return (K, N) with ones where a picture is in a group."""
    sizes = [len(group) for group in groups]
    columns = np.concatenate([np.empty(0, dtype=np.int64), *groups])
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return csr_matrix((np.ones(len(columns)), columns, starts), shape=(len(groups), n))


def _standard(values: FloatArray, members: csr_matrix, strata: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return the values less the mean of their stratum, (N,), and the variance of each group's sum, (K,).

    Source: Cochran 1977, "Sampling Techniques", theorem 2.2 (drawing without replacement), summed over the
    strata.
    """
    centred, variance = values.astype(np.float64), np.zeros(members.shape[0])
    for stratum in np.unique(strata):
        inside = strata == stratum
        size = int(inside.sum())
        centred[inside] -= centred[inside].mean()
        if size > 1:
            drawn = members @ inside.astype(np.float64)
            variance += drawn * (size - drawn) / (size - 1) * np.square(centred[inside]).mean()
    return centred, variance


def _permutations(steps: int) -> int:
    return max(_FEWEST, min(PERMUTATIONS, _MOST_STEPS // max(steps, 1)))


def _shuffled(
    values: FloatArray, strata: IntArray, count: int, block: int, seed: int
) -> Iterator[FloatArray]:
    """Yield ``count`` permutations within strata as columns, (N, some), a block at a time."""
    generator = np.random.default_rng(seed)
    places = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    for start in range(0, count, block):
        some = np.empty((min(block, count - start), len(values)))
        for inside in places:
            some[:, inside] = generator.permuted(np.tile(values[inside], (len(some), 1)), axis=1)
        yield some.T
