"""Attacking many pictures: records in, answers to every attack out, in flat memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from catsdogs.core.predictions import UNLABELLED, Predictions
from catsdogs.core.records import ImageRecord
from catsdogs.core.viewanswers import ViewAnswers
from catsdogs.data.stream import Batch, batches
from catsdogs.data.views import PLAIN
from catsdogs.models.modelcard import ModelCard
from catsdogs.robustness.attacks import PGD, PLAN, Attack, Attacker, to_planes

_BATCH = 16
# A picture that PGD has beaten at so many strengths in a row is beaten at all higher ones.
_SETTLED = 2
_WHITE = 255.0


@dataclass(frozen=True)
class Attacked:
    """What a model said about attacked pictures.

    Attributes:
        predictions: Without labels; the views are the attacks in the order of the plan, the plain view is the
            clean picture.
        largest: One an attack: the largest change of any value, in 1/255.
        still: One an attack: pictures that it could not change at all, for want of a gradient.
        inside: Whether all values stayed in [0, 1].
    """

    predictions: Predictions
    largest: tuple[float, ...]
    still: tuple[int, ...]
    inside: bool


def attack_all(
    attacker: Attacker,
    card: ModelCard,
    records: Sequence[ImageRecord],
    labels: Sequence[int],
    *,
    plan: Sequence[Attack] = PLAN,
    workers: int,
    advance: Callable[[int], None],
) -> Attacked:
    """Attack every readable picture in every way, in flat memory.

    Args:
        attacker: Of the model.
        card: Of the same model.
        records: The pictures.
        labels: Their true classes.
        plan: The attacks; those of PGD from weak to strong.
        workers: Threads that decode pictures.
        advance: Told how many pictures have been through an attack; each is counted once an attack.
    """
    truth = np.asarray(labels, dtype=np.int64)
    parts: list[ViewAnswers] = []
    errors: dict[int, str] = {}
    largest, still, inside = np.zeros(len(plan)), np.zeros(len(plan), dtype=np.int64), True
    names = tuple(f"{attack.kind} {attack.strength:g}" for attack in plan)
    for batch in batches(records, spec=card.preprocess, views=(PLAIN,), batch_size=_BATCH, workers=workers):
        errors |= {batch.start + position: reason for position, reason in batch.errors.items()}
        logits = np.full((len(plan) + 1, len(batch.records), len(card.class_names)), np.nan)
        targets = truth[batch.start + batch.good]
        for place, (planes, said) in enumerate(_answers(attacker, batch, targets, plan)):
            logits[place, batch.good] = said
            if place and len(batch.good):
                change = np.abs(planes - to_planes(batch.pixels[:, 0])).max(axis=(1, 2, 3)) * _WHITE
                largest[place - 1] = max(largest[place - 1], float(change.max()))
                still[place - 1] += int((change == 0).sum())
                inside &= bool(planes.min() >= -1e-6 and planes.max() <= 1 + 1e-6)
            advance(len(batch.records) if place else 0)
        parts.append(ViewAnswers(names, logits[1:], logits[0]))
    answers = ViewAnswers.concatenate(parts)
    predictions = Predictions(
        ids=tuple(record.id for record in records),
        class_names=card.class_names,
        logits=answers.plain,
        labels=np.full(len(records), UNLABELLED, dtype=np.int64),
        errors=errors,
        views=answers,
    )
    return Attacked(predictions, tuple(largest.tolist()), tuple(still.tolist()), inside)


def _answers(
    attacker: Attacker, batch: Batch, labels: npt.NDArray[np.int64], plan: Sequence[Attack]
) -> Iterator[tuple[npt.NDArray[np.float32], Any]]:
    """Yield planes and logits of the clean pictures of a batch, then of every attack."""
    pixels = batch.pixels[:, 0]
    planes = to_planes(pixels)
    if not len(pixels):
        yield from [(planes, np.nan)] * (len(plan) + 1)
        return
    yield planes, attacker.clean(pixels)
    kept, beaten = planes, np.zeros(len(pixels), dtype=np.int64)
    for attack in plan:
        left = (beaten < _SETTLED) | (attack.kind != PGD)
        # What was beaten again and again keeps the picture that did it, which lies within this budget too.
        found = kept.copy()
        if left.any():
            found[left] = attacker.attacked(pixels[left], labels[left], attack)
        logits = attacker.logits(found)
        if attack.kind == PGD:
            kept = found
            beaten = np.where(logits.argmax(axis=1) != labels, beaten + 1, 0)
        yield found, logits
