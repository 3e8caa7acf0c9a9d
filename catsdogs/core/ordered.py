"""A map over threads that keeps the order, takes no more than it needs, and can be left at any moment."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ordered_map(
    function: Callable[[T], R],
    items: Iterable[T],
    *,
    workers: int,
    window: int | None = None,
    begin: Callable[[], None] | None = None,
) -> Generator[R, None, None]:
    """Apply a function in threads; yield the results in the order of the items.

    Items are pulled lazily, at most ``window`` ahead of the result that is yielded. Closing the iterator, an
    exception or an interrupt drops what has not begun and does not wait for what has.

    Args:
        function: What to do; its exceptions are raised where its result would have been yielded.
        items: May be endless.
        workers: Threads; 0 does the work in the calling thread.
        window: Items under way at once; by default four a thread.
        begin: What every thread does first.
    """
    if workers < 1:
        yield from map(function, items)
        return
    source = iter(items)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="ordered", initializer=begin)
    try:
        pending: deque[Future[R]] = deque(
            pool.submit(function, item) for item in islice(source, window or 4 * workers)
        )
        while pending:
            result = pending.popleft().result()
            pending.extend(pool.submit(function, item) for item in islice(source, 1))
            yield result
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
