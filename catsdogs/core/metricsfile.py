"""``metrics.csv``: one row an epoch, written by training and read by whoever draws or judges it.

``watch.csv`` is written the same way and has one row for each layer group and epoch.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from catsdogs.core.files import replacing

# What training measures of its own speed; the last is empty where there is no GPU.
SPEED = ("pictures_per_s", "waiting_share", "peak_memory_mib", "peak_gpu_memory_mib")
METRICS = (
    "epoch",
    "train_loss",
    "val_loss",
    "train_accuracy",
    "val_accuracy",
    "learning_rate",
    "seconds",
    *SPEED,
)
WATCHED = ("epoch", "group", "gradient_norm", "update_ratio", "dead_share", "saturated_share")


def read_metrics(path: Path) -> list[dict[str, str]]:
    """Return the rows, whose cells are empty where there was nothing to measure."""
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def write_epoch(path: Path, columns: Sequence[str], epoch: int, rows: Iterable[Mapping[str, Any]]) -> None:
    """Add an epoch's rows in place of any that an interrupted run left for this epoch or later ones."""
    earlier = read_metrics(path) if path.exists() else []
    kept = [old for old in earlier if int(old["epoch"]) < epoch]
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows([*kept, *rows])
