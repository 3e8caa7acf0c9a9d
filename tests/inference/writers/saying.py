"""Predictions for the tests of writers."""

from pathlib import Path

import numpy as np

from catsdogs.core.predictions import UNLABELLED, Predictions
from catsdogs.inference.writers.formats import format_of, open_rows
from catsdogs.inference.writers.rows import RowOptions, rows_of


def predictions(names, probabilities, *, classes=("cat", "dog"), labels=None, errors=None) -> Predictions:
    logits = np.log(np.asarray(probabilities, dtype=np.float64))
    errors = errors or {}
    logits[list(errors)] = np.nan
    labels = [UNLABELLED] * len(names) if labels is None else labels
    return Predictions(tuple(names), tuple(classes), logits, np.asarray(labels, dtype=np.int64), errors)


def write(path: Path, said: Predictions, options: RowOptions | None = None, *, parts: int = 1) -> None:
    """Write predictions as the suffix says, in so many parts."""
    options = options or RowOptions()
    writer = open_rows(path, format_of(path), said.class_names, options)
    for positions in np.array_split(np.arange(len(said)), parts):
        part = said.select(positions)
        labels = part.labels.tolist()
        writer.write(rows_of(part.ids, part.logits, labels, part.errors, part.class_names, options))
    writer.close()
