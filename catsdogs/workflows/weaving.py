"""Putting the answers of several processes back in the order of the input, from their journals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from catsdogs.core.predictions import FloatArray
from catsdogs.data.inputs import Pictures
from catsdogs.inference.engines.engine import Rows
from catsdogs.inference.journal import Journal
from catsdogs.inference.predictor import Answers

_AT_ONCE = 256


def woven(journals: Sequence[Journal], pictures: Pictures, classes: int) -> Iterator[Answers]:
    """Yield every answer in the order of the pictures, which were dealt out one by one.

    Where a journal ends early, as after an interruption, so do the answers.
    """
    ranks = len(journals)
    singles = [
        _one_by_one(journal.replay(islice(pictures, rank, None, ranks), classes))
        for rank, journal in enumerate(journals)
        if journal.path.exists()
    ]
    in_turn = _in_turn(singles) if len(singles) == ranks else iter(())
    while batch := list(islice(in_turn, _AT_ONCE)):
        yield Answers(
            records=tuple(one.records[0] for one in batch),
            logits=np.concatenate([one.logits for one in batch]),
            errors={position: one.errors[0] for position, one in enumerate(batch) if one.errors},
            features=_features(batch),
            unfamiliar=_unfamiliar(batch),
        )


def _in_turn(singles: Sequence[Iterator[Answers]]) -> Iterator[Answers]:
    while True:
        for each in singles:
            one = next(each, None)
            if one is None:
                return
            yield one


def _one_by_one(answers: Iterator[Answers]) -> Iterator[Answers]:
    for batch in answers:
        good = 0
        for position, record in enumerate(batch.records):
            errors = {0: batch.errors[position]} if position in batch.errors else {}
            own = None
            if batch.features is not None:
                own = batch.features[good : good + 1] if not errors else batch.features[:0]
            good += not errors
            strange = None if batch.unfamiliar is None else batch.unfamiliar[position : position + 1]
            logits = batch.logits[position : position + 1]
            yield Answers((record,), logits, errors, features=own, unfamiliar=strange)


def _features(singles: Sequence[Answers]) -> Rows | None:
    """Join features (0 or 1, D); those of a batch that nobody could read do not know their width."""
    known = [one.features for one in singles if one.features is not None]
    if not known:
        return None
    readable = [rows for rows in known if len(rows)]
    return np.concatenate(readable) if readable else known[0]


def _unfamiliar(singles: Sequence[Answers]) -> FloatArray | None:
    known = [one.unfamiliar for one in singles if one.unfamiliar is not None]
    return np.concatenate(known) if known else None
