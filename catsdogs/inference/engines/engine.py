"""Engine: a stream of pixels in, a stream of logits out, in order; what every engine has in common."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt

from catsdogs.core.computation import Computation

Pixels = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.float32]
_MOST_LANES = 8


class Engine(Computation, Protocol):
    """One model, ready to run. ``models.execution.Runner`` is the engines ``torch`` and ``compile``.

    A stream lets an engine have several batches under way while the next one is decoded.
    """

    def stream(self, batches: Iterable[Pixels], *, features: bool = False) -> Iterator[Rows]:
        """Turn batches uint8 (N, H, W, 3), each of one picture or more, into logits float32 (N, C).

        They come one array a batch, in the order of the batches, and without temperature. Batches are asked
        for a few ahead of the answer that is yielded. With ``features`` the rows go on with what the head
        was given: (N, C + D).
        """
        ...


def lanes_of(threads: int) -> int:
    """Return how many batches to compute at once with so many threads.

    Threads that share a batch wait for the slowest of them after every layer, and where others decode one of
    them is always slow: apart they waste nothing. Each lane holds its activations in memory.
    """
    return min(threads, _MOST_LANES)


def outputs_of(features: bool) -> tuple[str, ...]:
    """Return the outputs of a converted model that make the rows of a stream."""
    return ("logits", "features") if features else ("logits",)


def stream_in_chunks(
    batches: Iterable[Pixels], size: int, answers: Callable[[Iterator[Pixels]], Generator[Rows, None, None]]
) -> Iterator[Rows]:
    """Run batches of any length through something that takes ``size`` pictures at a time, no more, no fewer.

    A batch that does not fill its last chunk is padded with black pictures: what is computed for a picture
    must not depend on how many others lie beside it.

    Args:
        batches: uint8 (N, H, W, 3), each N at least 1.
        size: Of every chunk.
        answers: Turns a stream of chunks (size, H, W, 3) into as many arrays (size, ...), in order.
    """
    waiting: deque[list[int]] = deque()

    def chunks() -> Iterator[Pixels]:
        for batch in batches:
            pieces = [batch[start : start + size] for start in range(0, len(batch), size)]
            waiting.append([len(piece) for piece in pieces])
            yield from (_filled(piece, size) for piece in pieces)

    rows: list[Rows] = []
    for some in answers(chunks()):
        rows.append(some[: waiting[0][len(rows)]])
        if len(rows) == len(waiting[0]):
            waiting.popleft()
            yield np.concatenate(rows) if len(rows) > 1 else rows[0]
            rows = []


def _filled(pixels: Pixels, size: int) -> Pixels:
    missing = size - len(pixels)
    if missing:
        pixels = np.concatenate([pixels, np.zeros((missing, *pixels.shape[1:]), dtype=np.uint8)])
    return np.ascontiguousarray(pixels)
