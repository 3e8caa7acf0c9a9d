"""The table of backbones: on the console, as CSV and as JSON."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from catsdogs.core.files import replacing, write_json
from catsdogs.reporting.console import say, table

# What a table is sorted by: the value, and whether more of it comes first.
SORTS = {
    "name": ("name", False),
    "parameters": ("parameters", False),
    "top1": ("imagenet_top1", True),
    "speed": ("pictures_per_s", True),
    "accuracy": ("accuracy", True),
    "log_loss": ("log_loss", False),
}
NOT_AT_HAND, NO_WEIGHTS = "not at hand", "no weights"


@dataclass(frozen=True)
class Quality:
    """How well a probe tells pictures that it was not fitted on, by cross-validation.

    Attributes:
        accuracy: Share of right answers, in [0, 1].
        accuracy_error: Its standard error.
        log_loss: In nats, after calibration.
        log_loss_error: Its standard error.
    """

    accuracy: float
    accuracy_error: float
    log_loss: float
    log_loss_error: float


@dataclass(frozen=True)
class BackboneRow:
    """One line of the table; what is not known, or means nothing, is None.

    Attributes:
        name: The backbone, or the floor.
        parameters: Without a classifier.
        input_px: Height of the input.
        imagenet_top1: In percent, of timm's own weights.
        license: Of timm's own weights.
        weights: A local file, ``hub`` (in its cache on this machine), ``NOT_AT_HAND`` or ``NO_WEIGHTS``.
        pictures_per_s: Of the network alone, at batch 8.
        quality: On the pictures that were given.
    """

    name: str
    parameters: int | None = None
    input_px: int | None = None
    imagenet_top1: float | None = None
    license: str | None = None
    weights: str | None = None
    pictures_per_s: float | None = None
    quality: Quality | None = None

    def values(self) -> dict[str, Any]:
        """Return plain values: a column of the CSV file each."""
        plain = asdict(self)
        measured = plain.pop("quality")
        return plain | (measured or dict.fromkeys(Quality.__dataclass_fields__))


def sort_rows(rows: Sequence[BackboneRow], key: str) -> list[BackboneRow]:
    """Sort by one of ``SORTS``; rows that have no such value come last, in the order they are in."""
    column, descending = SORTS[key]
    known = [row for row in rows if row.values()[column] is not None]
    known.sort(key=lambda row: row.values()[column], reverse=descending)
    return known + [row for row in rows if row.values()[column] is None]


def show_backbones(rows: Sequence[BackboneRow], *, speed: bool, tried_on: str | None) -> None:
    """Print the table.

    Args:
        rows: In their order.
        speed: Whether there is a column for it.
        tried_on: What the probes saw, in words; None leaves their columns out.
    """
    header = ["backbone", "M par.", "px", "top-1", "licence"]
    header += ["pic/s"] if speed else []
    header += ["weights"] if tried_on is None else ["accuracy %", "log loss"]
    cells = [_cells(row, speed=speed, tried=tried_on is not None) for row in rows]
    table(f"Backbones, tried on {tried_on}" if tried_on else "Backbones", header, cells)
    say("top-1 (ImageNet, %) and licence are those of timm's own weights; M par. without a classifier")
    if tried_on:
        say("accuracy and log loss of a linear probe: 5-fold cross-validation, calibrated, ± standard error")


def write_backbones(rows: Sequence[BackboneRow], *, csv_path: Path | None, json_path: Path | None) -> None:
    """Write the rows where a path is given; what is not known is empty, or null.

    Raises:
        OutputError: A file cannot be written.
    """
    values = [row.values() for row in rows]
    if json_path is not None:
        write_json(json_path, values)
    if csv_path is not None:
        with replacing(csv_path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(values[0]))
            writer.writeheader()
            writer.writerows(values)


def _cells(row: BackboneRow, *, speed: bool, tried: bool) -> list[str]:
    cells = [
        row.name,
        "" if row.parameters is None else f"{row.parameters / 1e6:.1f}",
        "" if row.input_px is None else str(row.input_px),
        "" if row.imagenet_top1 is None else f"{row.imagenet_top1:.1f}",
        row.license or "",
    ]
    if speed:
        cells.append("" if row.pictures_per_s is None else f"{row.pictures_per_s:.3g}")
    return cells + (_judged(row) if tried else [_where(row.weights)])


def _judged(row: BackboneRow) -> list[str]:
    found = row.quality
    if found is None:
        return [str(row.weights) if row.weights in (NOT_AT_HAND, NO_WEIGHTS) else "not tried", ""]
    return [
        f"{100 * found.accuracy:.1f} ± {100 * found.accuracy_error:.1f}",
        f"{found.log_loss:.3f} ± {found.log_loss_error:.3f}",
    ]


def _where(weights: str | None) -> str:
    if weights in (None, NOT_AT_HAND, NO_WEIGHTS):
        return weights or ""
    return "in the hub's cache" if weights == "hub" else Path(str(weights)).name
