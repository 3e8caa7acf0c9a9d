"""Applying a model to pictures: in this process, or shared among several."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from catsdogs.core.predictions import Predictions
from catsdogs.core.records import ImageRecord
from catsdogs.inference.predictor import collect
from catsdogs.workflows.applyoptions import WITHIN_A_RUN, ApplyOptions, open_predictor


@dataclass(frozen=True)
class Applied:
    """What came of applying a model.

    Attributes:
        predictions: Without labels, in the order of the records.
        engine: That computed it.
        precision: ``fp32`` or ``bf16``: what it computed in.
        picture_s: Wall-clock seconds a picture once it was under way; None where there were too few to tell.
    """

    predictions: Predictions
    engine: str
    precision: str
    picture_s: float | None


def apply(
    checkpoint: Path,
    records: Sequence[ImageRecord],
    options: ApplyOptions = WITHIN_A_RUN,
    *,
    keep_views: bool = False,
    advance: Callable[[int], None],
) -> Applied | None:
    """Predict all records, without labels; None in every process but the first.

    One device needs no Lightning.

    Args:
        checkpoint: Run folder or model folder.
        records: The pictures.
        options: How.
        keep_views: Tell what each view said, too.
        advance: Called with how many pictures have been answered.

    Raises:
        UserError: The model, the engine, the precision or the devices cannot be had.
    """
    pace = _Pace(advance)
    if options.devices > 1:
        from catsdogs.workflows.sharing import predict_shared

        shared = predict_shared(checkpoint, records, options, keep_views=keep_views, advance=pace)
        if shared is None:
            return None
        predictions, engine = shared
    else:
        predictor = open_predictor(checkpoint, options, keep_views=keep_views)
        predictions = collect(predictor.answers(records, pace), predictor.class_names)
        engine = predictor.engine
    return Applied(predictions, engine.name, engine.precision, pace.picture_s)


class _Pace:
    """Passes progress on, and knows how fast it was since the first answers."""

    def __init__(self, advance: Callable[[int], None]) -> None:
        self._advance = advance
        self._seen: list[tuple[int, float]] = []

    def __call__(self, count: int) -> None:
        self._advance(count)
        before = self._seen[-1][0] if self._seen else 0
        self._seen = [*self._seen[:1], (before + count, time.perf_counter())]

    @property
    def picture_s(self) -> float | None:
        if len(self._seen) < 2:
            return None
        (before, started), (after, ended) = self._seen
        return (ended - started) / (after - before)
