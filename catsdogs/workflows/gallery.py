"""The pictures to look at first after an evaluation: confident mistakes, then doubtful right answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from catsdogs.core.errors import PictureError
from catsdogs.core.predictions import Predictions
from catsdogs.core.records import ImageRecord
from catsdogs.data.stream import read_picture
from catsdogs.reporting.figures import draw_gallery, save_figure

_MISTAKES, _DOUBTS = 10, 10
_THUMBNAIL_PX = 200


def write_gallery(path: Path, predictions: Predictions, records: Sequence[ImageRecord]) -> None:
    """Draw them, with true class, answer and probability, into a PNG."""
    pictures, captions = [], []
    for position in telling_positions(predictions):
        try:
            picture = read_picture(records[position], at_least_px=(_THUMBNAIL_PX, _THUMBNAIL_PX))
        except PictureError:
            continue  # it could be read a moment ago; the evaluation stands without its thumbnail
        picture.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX), Image.Resampling.BILINEAR)
        pictures.append(picture)
        captions.append(_caption(predictions, position))
    if pictures:
        title = "Most confident mistakes, then the least sure right answers"
        save_figure(draw_gallery(pictures, captions, title), path)


def telling_positions(predictions: Predictions) -> list[int]:
    """Return positions: mistakes, most confident first, then right answers, least confident first."""
    scored = np.flatnonzero(predictions.readable & (predictions.labels >= 0))
    confidence = predictions.probabilities[scored].max(axis=1)
    right = predictions.predicted[scored] == predictions.labels[scored]
    mistakes = scored[~right][np.argsort(-confidence[~right], kind="stable")][:_MISTAKES]
    doubts = scored[right][np.argsort(confidence[right], kind="stable")][:_DOUBTS]
    return [int(position) for position in (*mistakes, *doubts)]


def _caption(predictions: Predictions, position: int) -> str:
    names = predictions.class_names
    true, called = names[predictions.labels[position]], names[predictions.predicted[position]]
    share = f"{predictions.probabilities[position].max():.0%}"
    return f"{called} {share}" if true == called else f"{called} {share}, is {true}"
