"""Packing views into calls of the network: every call is full, however many views a picture has."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt

from catsdogs.data.preparation import Pixels
from catsdogs.data.stream import Batch

Score = Callable[[Pixels], npt.NDArray[np.float32]]
"""Turns pixels (N, H, W, 3) into logits (N, C)."""


def packed(
    batches: Iterable[Batch], score: Score, *, size: int
) -> Iterator[tuple[Batch, npt.NDArray[np.float32]]]:
    """Yield each batch with the logits (G, V, C) of its pictures, in order.

    The network gets ``size`` crops at a time, across the borders of pictures and batches; only the last call
    has fewer. No more crops wait than one call takes and one batch brings.

    Args:
        batches: At least one picture must be readable in one of them, or ``score`` is never asked.
        score: Called with up to ``size`` crops.
        size: Crops a call.
    """
    waiting: deque[Batch] = deque()
    crops: Pixels | None = None
    rows: list[npt.NDArray[np.float32]] = []
    for batch in batches:
        waiting.append(batch)
        new = batch.pixels.reshape(-1, *batch.pixels.shape[2:])
        crops = new if crops is None or not len(crops) else np.concatenate([crops, new])
        while len(crops) >= size:
            rows.append(score(crops[:size]))
            crops = crops[size:]
        yield from _finished(waiting, rows)
    if crops is not None and len(crops):
        rows.append(score(crops))
    yield from _finished(waiting, rows)


def _finished(
    waiting: deque[Batch], rows: list[npt.NDArray[np.float32]]
) -> Iterator[tuple[Batch, npt.NDArray[np.float32]]]:
    """Hand out the batches whose crops have all been scored, and take their rows away."""
    known = np.concatenate(rows) if rows else np.empty((0, 0), dtype=np.float32)
    while waiting:
        good, views = waiting[0].pixels.shape[:2]
        if len(known) < good * views:
            break
        yield waiting.popleft(), known[: good * views].reshape(good, views, known.shape[1])
        known = known[good * views :]
    rows[:] = [known] if len(known) else []
