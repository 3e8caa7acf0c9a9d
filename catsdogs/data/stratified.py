"""A part of the pictures in which the classes have the shares that they have in the whole."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from heapq import heapify, heapreplace

from catsdogs.core.errors import ConfigError
from catsdogs.core.records import ImageRecord


def stratified(records: Sequence[ImageRecord], limit: int, *, seed: int) -> tuple[ImageRecord, ...]:
    """Return ``limit`` of the pictures, or all where there are no more, in their order.

    Every picture draws its own lot, so most of them stay when others come or go.

    Raises:
        ConfigError: Fewer than one are asked for.

    Source: Sainte-Laguë's method of giving out seats, for the share of each class.
    """
    if limit < 1:
        raise ConfigError(f"--limit must be 1 or more, not {limit}")
    if limit >= len(records):
        return tuple(records)
    classes: dict[str | None, list[int]] = defaultdict(list)
    for position in sorted(range(len(records)), key=lambda place: _lot(records[place], seed)):
        classes[records[position].label].append(position)
    taken = dict.fromkeys(classes, 0)
    # Largest first; of equals the class whose name comes first.
    waiting: list[tuple[float, str, str | None]]
    waiting = [(-len(members), str(name), name) for name, members in classes.items()]
    heapify(waiting)
    for _ in range(limit):
        _, word, name = waiting[0]
        taken[name] += 1
        heapreplace(waiting, (-len(classes[name]) / (2 * taken[name] + 1), word, name))
    kept = {position for name, count in taken.items() for position in classes[name][:count]}
    return tuple(record for position, record in enumerate(records) if position in kept)


def _lot(record: ImageRecord, seed: int) -> bytes:
    return hashlib.sha256(f"{seed} {record.id}".encode("utf-8", "surrogatepass")).digest()
