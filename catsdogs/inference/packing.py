"""Packing views into calls of the engine: every call is full, however many views a picture has."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from catsdogs.data.stream import Batch
from catsdogs.inference.engines.engine import Pixels, Rows

# So many batches in a row without a readable picture, and what waits is answered.
_MOST_BARREN = 2

Score = Callable[[Iterator[Pixels]], Iterator[Rows]]
"""Turns a stream of pixels (N, H, W, 3) into as many rows (N, C), in order: ``Engine.stream``."""


def packed(batches: Iterable[Batch], score: Score, *, size: int) -> Iterator[tuple[Batch, Rows]]:
    """Yield each batch with the rows (G, V, C) of its pictures, in order.

    The engine gets ``size`` crops at a time, across the borders of pictures and batches; only the last call
    has fewer, and one before a long stretch of files that nobody can read. No more crops wait than one call
    takes and one batch brings, beside what the engine asks for ahead of its answers. A batch without readable
    pictures may have C of 0.

    Args:
        batches: In the order of the stream.
        score: Is given up to ``size`` crops a call; called anew after such a stretch.
        size: Crops a call.
    """
    source = iter(batches)
    waiting: deque[Batch] = deque()
    there_may_be_more = True

    def calls() -> Iterator[Pixels]:
        nonlocal there_may_be_more
        crops: Pixels | None = None
        barren = 0
        for batch in source:
            waiting.append(batch)
            barren = 0 if len(batch.good) else barren + 1
            new = batch.pixels.reshape(-1, *batch.pixels.shape[2:])
            crops = new if crops is None or not len(crops) else np.concatenate([crops, new])
            while len(crops) >= size:
                yield crops[:size]
                crops = crops[size:]
            if barren == _MOST_BARREN:
                break  # no answer would come that lets go of them
        else:
            there_may_be_more = False
        if crops is not None and len(crops):
            yield crops

    while there_may_be_more:
        known = np.empty((0, 0), dtype=np.float32)
        for rows in score(calls()):
            known = np.concatenate([known, rows]) if len(known) else rows
            while waiting and len(known) >= _crops_of(waiting[0]):
                batch = waiting.popleft()
                yield batch, _rows_of(batch, known)
                known = known[_crops_of(batch) :]
        while waiting:
            batch = waiting.popleft()
            yield batch, _rows_of(batch, known)


def _crops_of(batch: Batch) -> int:
    good, views = batch.pixels.shape[:2]
    return int(good * views)


def _rows_of(batch: Batch, known: Rows) -> Rows:
    good, views = batch.pixels.shape[:2]
    return known[: good * views].reshape(good, views, known.shape[1])
