"""The memory that decoders hold at once: large pictures wait for their share of it."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

from catsdogs.core.errors import PictureError

MEMORY_BUDGET_BYTES = 512 * 2**20  # what the decoders of this process may hold at once


def too_many_pixels(size: tuple[int, int]) -> PictureError:
    """Return the error of a picture of this (width, height)."""
    return PictureError(f"too many pixels ({size[0]}x{size[1]})")


class MemoryBudget:
    """Bytes that threads share: who needs more than is free waits until others are done."""

    def __init__(self, total_bytes: int) -> None:
        self._total_bytes = total_bytes
        self.reset()

    def reset(self) -> None:
        """Start anew: in a forked process the threads that held shares do not exist."""
        self._free_bytes = self._total_bytes
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def share(self, needed_bytes: int, size: tuple[int, int]) -> Iterator[None]:
        """Hold so many bytes for a picture of this size.

        Raises:
            PictureError: It needs more than there is.
        """
        if needed_bytes > self._total_bytes:
            raise too_many_pixels(size)
        with self._changed:
            self._changed.wait_for(lambda: self._free_bytes >= needed_bytes)
            self._free_bytes -= needed_bytes
        try:
            yield
        finally:
            with self._changed:
                self._free_bytes += needed_bytes
                self._changed.notify_all()


BUDGET = MemoryBudget(MEMORY_BUDGET_BYTES)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=BUDGET.reset)
