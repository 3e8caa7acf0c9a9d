"""Predictor: records in, Predictions out, with decoding and the network at work at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from catsdogs.core.merging import MERGES
from catsdogs.core.predictions import UNLABELLED, FloatArray, Predictions
from catsdogs.core.records import ImageRecord
from catsdogs.data.stream import Batch, batches
from catsdogs.data.views import parse_views
from catsdogs.models.execution import Runner
from catsdogs.models.modelcard import ModelCard


@dataclass(frozen=True)
class Answers:
    """What the model said about consecutive records.

    Attributes:
        records: Length B.
        logits: Float64 (B, C), calibrated; NaN where there is an error.
        errors: Position within ``records`` -> why that picture cannot be read.
    """

    records: tuple[ImageRecord, ...]
    logits: FloatArray
    errors: dict[int, str]


def _ignore(_: int) -> None:
    """Take progress and do nothing with it."""


class Predictor:
    """Applies one model, over one set of views, to any number of pictures in flat memory."""

    def __init__(self, runner: Runner, card: ModelCard, *, tta: str = "none", workers: int) -> None:
        self._runner, self._card = runner, card
        self._views = parse_views(tta)
        self._workers = workers

    def answers(
        self, records: Iterable[ImageRecord], advance: Callable[[int], None] = _ignore
    ) -> Iterator[Answers]:
        """Yield answers in the order of the records, as they become known; tell ``advance`` how many."""
        for batch in batches(
            records,
            spec=self._card.preprocess,
            views=self._views,
            batch_size=self._runner.execution.batch_size,
            workers=self._workers,
        ):
            yield Answers(batch.records, self._score(batch), batch.errors)
            advance(len(batch.records))

    def _score(self, batch: Batch) -> FloatArray:
        logits = np.full((len(batch.records), len(self._card.class_names)), np.nan)
        good, views = batch.pixels.shape[:2]
        if good:
            flat = batch.pixels.reshape(good * views, *batch.pixels.shape[2:])
            raw = self._runner.logits(flat).astype(np.float64) / self._card.temperature
            by_view = raw.reshape(good, views, -1).swapaxes(0, 1)  # (V, G, C)
            logits[batch.good] = by_view[0] if views == 1 else MERGES["mean"](by_view)
        return logits


def collect(answers: Iterable[Answers], class_names: Sequence[str]) -> Predictions:
    """Gather answers into one value, without labels."""
    ids: list[str] = []
    logits: list[FloatArray] = [np.empty((0, len(class_names)))]
    errors: dict[int, str] = {}
    for answer in answers:
        errors |= {len(ids) + position: reason for position, reason in answer.errors.items()}
        ids.extend(record.id for record in answer.records)
        logits.append(answer.logits)
    return Predictions(
        ids=tuple(ids),
        class_names=tuple(class_names),
        logits=np.concatenate(logits),
        labels=np.full(len(ids), UNLABELLED, dtype=np.int64),
        errors=errors,
    )
