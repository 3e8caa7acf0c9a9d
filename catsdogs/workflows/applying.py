"""Applying a model to known records, in this process or shared among several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from catsdogs.core.errors import ConfigError
from catsdogs.core.predictions import Predictions
from catsdogs.core.records import ImageRecord
from catsdogs.data.views import parse_views
from catsdogs.inference.engines.engine import Engine
from catsdogs.inference.predictor import collect, merging
from catsdogs.models.modelcard import load_card
from catsdogs.reporting.console import say
from catsdogs.workflows.loaded import load


def apply(
    checkpoint: Path,
    records: Sequence[ImageRecord],
    *,
    tta: str,
    engine: str = "auto",
    merge: str = "auto",
    keep_views: bool = False,
    precision: str = "auto",
    devices: int = 1,
    workers: int | None = None,
    advance: Callable[[int], None],
) -> Predictions | None:
    """Predict all records, without labels; None in every process but the first.

    One device needs no Lightning. ``tta``, ``merge`` and ``keep_views`` are those of ``Predictor``.

    Raises:
        UserError: The model, the views, the engine, the precision or the devices cannot be had.
    """
    card = load_card(checkpoint)
    merging(card, parse_views(tta, card.preprocess), merge)
    if devices < 1:
        raise ConfigError(f"--devices must be 1 or more, not {devices}")
    if devices > 1:
        from catsdogs.workflows.sharing import predict_shared

        return predict_shared(
            checkpoint,
            records,
            tta=tta,
            engine=engine,
            merge=merge,
            keep_views=keep_views,
            precision=precision,
            devices=devices,
            workers=workers,
            advance=advance,
        )
    model = load(checkpoint, engine=engine, precision=precision, workers=workers, say=say)
    predictor = model.predictor(tta, merge=merge, keep_views=keep_views)
    say_engine(predictor.engine)
    return collect(predictor.answers(records, advance), model.class_names)


def say_engine(engine: Engine) -> None:
    """Say which engine was taken, and what it computes in."""
    say(f"engine: {engine.name}, {engine.precision}")
