"""Leaving out of a judgement what the model has learned from before it came here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from catsdogs.core.records import ImageRecord
from catsdogs.data.inspection import inspect
from catsdogs.data.seen import SeenPictures
from catsdogs.models.embedded import SEEN, embedded_folder
from catsdogs.models.modelcard import ModelCard
from catsdogs.reporting.console import progress, say
from catsdogs.workflows.workers import decoding_workers

_MOST_NAMED = 3


def seen_by_embedded(records: Sequence[ImageRecord]) -> list[bool]:
    """Say of each picture whether the embedded model has learned from it.

    Raises:
        DataError: The list of what it has seen is damaged.
    """
    if not records:
        return []
    known = SeenPictures.load(embedded_folder() / SEEN)
    with progress("looking for pictures the embedded model knows", len(records)) as advance:
        found = inspect(records, workers=decoding_workers(None), advance=advance, cache=True)
    return [bool(old) for old in known.contains(np.stack([one.thumbnail for one in found]))]


def warn_of_seen(records: Sequence[ImageRecord], consequence: str) -> None:
    """Tell how many pictures the embedded weights have learned from, and what follows from it.

    Raises:
        DataError: The list of what they have seen is damaged.
    """
    if known := sum(seen_by_embedded(records)):
        say(
            f"warning: the embedded weights have learned from {known:,} of these {len(records):,} pictures "
            f"before: {consequence}"
        )


def leave_out_seen(records: Sequence[ImageRecord], card: ModelCard) -> tuple[ImageRecord, ...]:
    """Return the pictures that a model may be judged by, and name the others.

    Args:
        records: To judge it by.
        card: Of the model; one that does not build on the embedded model has seen none of them.

    Raises:
        DataError: The list of what it has seen is damaged.
    """
    if not card.embedded:
        return tuple(records)
    seen = seen_by_embedded(records)
    names = [record.id for record, old in zip(records, seen, strict=True) if old]
    if names:
        more = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
        say(
            f"left out: {len(names):,} of {len(records):,} pictures, which the embedded model has learned "
            f"from ({', '.join(names[:_MOST_NAMED])}{more})"
        )
    return tuple(record for record, old in zip(records, seen, strict=True) if not old)
