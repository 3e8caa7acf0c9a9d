"""Predictor: records in, Predictions out, with decoding and the network at work at the same time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from catsdogs.core.merging import MERGES
from catsdogs.core.predictions import UNLABELLED, FloatArray, Predictions
from catsdogs.core.records import ImageRecord
from catsdogs.data.stream import Batch, batches
from catsdogs.data.views import parse_views
from catsdogs.inference.engines.engine import Engine, Logits, Pixels
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

    def __init__(self, engine: Engine, card: ModelCard, *, tta: str = "none", workers: int) -> None:
        self._engine, self._card = engine, card
        self._views = parse_views(tta)
        self._workers = workers

    def answers(
        self, records: Iterable[ImageRecord], advance: Callable[[int], None] = _ignore
    ) -> Iterator[Answers]:
        """Yield answers in the order of the records, as they become known; tell ``advance`` how many."""
        for batch, logits in self._scored(records):
            yield Answers(batch.records, logits, batch.errors)
            advance(len(batch.records))

    def _scored(self, records: Iterable[ImageRecord]) -> Iterator[tuple[Batch, FloatArray]]:
        """Yield every batch with its logits (B, C); the engine has later ones under way by then."""
        waiting: deque[Batch] = deque()

        def pixels() -> Iterator[Pixels]:
            for batch in batches(
                records,
                spec=self._card.preprocess,
                views=self._views,
                batch_size=self._engine.batch_size,
                workers=self._workers,
            ):
                waiting.append(batch)
                if len(batch.good):
                    yield batch.pixels.reshape(-1, *batch.pixels.shape[2:])

        for raw in self._engine.stream(pixels()):
            while not len(waiting[0].good):
                yield self._with_logits(waiting.popleft(), None)
            yield self._with_logits(waiting.popleft(), raw)
        for batch in waiting:
            yield self._with_logits(batch, None)

    def _with_logits(self, batch: Batch, raw: Logits | None) -> tuple[Batch, FloatArray]:
        logits = np.full((len(batch.records), len(self._card.class_names)), np.nan)
        if raw is not None:
            calibrated = raw.astype(np.float64) / self._card.temperature
            by_view = calibrated.reshape(len(batch.good), len(self._views), -1).swapaxes(0, 1)  # (V, G, C)
            logits[batch.good] = by_view[0] if len(self._views) == 1 else MERGES["mean"](by_view)
        return batch, logits


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
