"""Deadline: work that is broken off when its time is over."""

from __future__ import annotations

import contextlib
import math
import signal
from collections.abc import Iterator
from types import FrameType

# A finaliser or a callback of C swallows exceptions; then the next alarm ends the work.
_AGAIN_S = 10.0


class OutOfTime(BaseException):
    """The time is over. It is no error, so ``except Exception`` lets it pass, as it does Ctrl-C."""


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raise ``OutOfTime`` in the main thread once so many seconds have passed inside this context.

    Where the system has no interval timer (Windows) nothing is broken off.

    Args:
        seconds: Infinity for no limit.

    Raises:
        OutOfTime: The time is over.
    """
    if seconds <= 0:
        raise OutOfTime
    if math.isinf(seconds) or not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGALRM, _ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _ring(_: int, __: FrameType | None) -> None:
    raise OutOfTime
