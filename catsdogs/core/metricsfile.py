"""``metrics.csv``: one row an epoch, written by training and read by whoever draws or judges it."""

from __future__ import annotations

import csv
from pathlib import Path

METRICS = (
    "epoch",
    "train_loss",
    "val_loss",
    "train_accuracy",
    "val_accuracy",
    "learning_rate",
    "seconds",
)


def read_metrics(path: Path) -> list[dict[str, str]]:
    """Return the rows, whose cells are empty where there was nothing to measure."""
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))
