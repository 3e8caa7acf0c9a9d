"""Features: what a frozen backbone says about pictures, computed once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from catsdogs.core.errors import DataError, ModelError
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.core.records import ImageRecord
from catsdogs.data.stream import batches
from catsdogs.data.views import VIEWS
from catsdogs.models.execution import Runner


@dataclass(frozen=True)
class Features:
    """Features of N readable pictures.

    Attributes:
        records: Length N.
        values: Float32 (N, D), of the plain evaluation view.
    """

    records: tuple[ImageRecord, ...]
    values: npt.NDArray[np.float32]


def extract_features(
    runner: Runner,
    records: Sequence[ImageRecord],
    spec: PreprocessSpec,
    *,
    workers: int,
    advance: Callable[[int], None],
) -> Features:
    """Run the backbone once over the pictures; those that cannot be read any more are left out.

    Raises:
        DataError: None of them can be read.
        ModelError: The backbone gives numbers that are not finite.
    """
    kept: list[ImageRecord] = []
    values: list[npt.NDArray[np.float32]] = []
    size = runner.execution.batch_size
    for batch in batches(records, spec=spec, views=VIEWS["none"], batch_size=size, workers=workers):
        if len(batch.good):
            values.append(runner.features(batch.pixels[:, 0]))
            kept.extend(batch.records[position] for position in batch.good)
        advance(len(batch.records))
    if not kept:
        raise DataError(f"none of the {len(records)} pictures can be read any more")
    features = Features(tuple(kept), np.concatenate(values))
    if not np.isfinite(features.values).all():
        raise ModelError("the backbone gives features that are not finite: its weights are damaged")
    return features
