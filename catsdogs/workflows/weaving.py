"""Putting the answers of several processes back in the order of the input, from their journals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from catsdogs.data.inputs import Pictures
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
        for position, record in enumerate(batch.records):
            errors = {0: batch.errors[position]} if position in batch.errors else {}
            yield Answers((record,), batch.logits[position : position + 1], errors)
