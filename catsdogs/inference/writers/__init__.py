"""Predictions to files that people, programs and Kaggle read; one format a file."""

from __future__ import annotations

from pathlib import Path

from catsdogs.core.files import replacing
from catsdogs.core.predictions import Predictions
from catsdogs.inference.writers.formats import open_rows
from catsdogs.inference.writers.rows import RowOptions, rows_of


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write a whole set of predictions as CSV and, beside it, its logits as npz."""
    said = predictions
    options = RowOptions(with_labels=said.has_labels, with_unfamiliar=said.unfamiliar is not None)
    with replacing(path) as temporary:
        writer = open_rows(temporary, "csv", said.class_names, options)
        try:
            labels = said.labels.tolist()
            writer.write(
                rows_of(
                    said.ids, said.logits, labels, said.errors, said.class_names, options, said.unfamiliar
                )
            )
        finally:
            writer.close()
    predictions.save(path.with_suffix(".npz"))
