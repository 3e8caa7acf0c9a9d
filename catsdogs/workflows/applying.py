"""Applying a model to pictures: in this process, or shared among several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from catsdogs.core.predictions import Predictions
from catsdogs.core.records import ImageRecord
from catsdogs.inference.predictor import collect
from catsdogs.workflows.applyoptions import WITHIN_A_RUN, ApplyOptions, open_predictor


def apply(
    checkpoint: Path,
    records: Sequence[ImageRecord],
    options: ApplyOptions = WITHIN_A_RUN,
    *,
    keep_views: bool = False,
    advance: Callable[[int], None],
) -> Predictions | None:
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
    if options.devices > 1:
        from catsdogs.workflows.sharing import predict_shared

        return predict_shared(checkpoint, records, options, keep_views=keep_views, advance=advance)
    predictor = open_predictor(checkpoint, options, keep_views=keep_views)
    return collect(predictor.answers(records, advance), predictor.class_names)
