"""Which pictures a step sees: a pure function of (seed, epoch, rank), so that a resumed run sees the same."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

from catsdogs.core.predictions import IntArray


class EpochBatchSampler(Sampler[list[tuple[int, int]]]):
    """Batches of (epoch, index) in an order drawn from (seed, epoch), shared out among ranks.

    A global batch is the same set of pictures whatever the number of ranks; each takes an equal share of it.
    The incomplete batch at the end of an epoch is dropped unless it is the only one, and then it is trimmed
    to a multiple of the ranks.

    Args:
        pictures: How many there are.
        batch_size: Over all ranks.
        seed: Of the order.
        rank: This process.
        ranks: How many share a batch.
        balance: Class of each picture, where every class shall be drawn as often, the pictures of rare ones
            several times. An index is then that of the picture plus ``pictures`` for each earlier time in the
            epoch: whoever draws at random from an index draws something else.
    """

    def __init__(
        self,
        pictures: int,
        *,
        batch_size: int,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
        balance: Sequence[int] | None = None,
    ) -> None:
        self._pictures = pictures
        self._classes = None if balance is None else np.asarray(balance)
        self._batch_size = min(batch_size, pictures) // ranks * ranks
        self._seed, self._rank, self._ranks = seed, rank, ranks
        self._epoch = 0

    @property
    def sampler(self) -> EpochBatchSampler:
        """Itself: where Lightning looks for ``set_epoch``."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Make the next iteration that of ``epoch``."""
        self._epoch = epoch

    def __len__(self) -> int:
        """Return the steps of an epoch."""
        return self._pictures // self._batch_size if self._batch_size else 0

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        """Yield this rank's share of each global batch."""
        chance = np.random.default_rng([self._seed, self._epoch])
        order = chance.permutation(self._pictures)
        if self._classes is not None:
            order = _balanced(self._classes, chance)
        for step in range(len(self)):
            batch = order[step * self._batch_size : (step + 1) * self._batch_size]
            yield [(self._epoch, int(index)) for index in batch[self._rank :: self._ranks]]


def _balanced(classes: IntArray, chance: np.random.Generator) -> IntArray:
    """Return as many indices as there are pictures, as many of each class, give or take one."""
    names = chance.permutation(np.unique(classes))
    drawn = []
    for part, name in zip(np.array_split(classes, len(names)), names, strict=True):
        own = np.flatnonzero(classes == name)
        times = range(math.ceil(len(part) / len(own)))
        drawn += [
            np.concatenate([chance.permutation(own) + time * len(classes) for time in times])[: len(part)]
        ]
    return chance.permutation(np.concatenate(drawn))


class ShareSampler(Sampler[int]):
    """This rank's share of all pictures in order; every rank yields as many, so that none waits for another.

    Ranks that would have one picture fewer repeat one, marked by a negative position -1 - index: the caller
    must not count it.
    """

    def __init__(self, pictures: int, *, rank: int = 0, ranks: int = 1) -> None:
        self._pictures, self._rank, self._ranks = pictures, rank, ranks

    def __len__(self) -> int:
        """Return how many positions every rank yields."""
        return math.ceil(self._pictures / self._ranks)

    def __iter__(self) -> Iterator[int]:
        """Yield positions; a repeated one as -1 - index."""
        for position in range(self._rank, len(self) * self._ranks, self._ranks):
            yield position if position < self._pictures else -1 - position % self._pictures
