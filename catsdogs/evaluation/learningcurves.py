"""LearningCurve: losses and accuracies by epoch, read strictly from any CSV.

Understood are catsdogs' own ``metrics.csv``, Lightning's CSVLogger, which writes training and validation of
an epoch into rows of their own and the steps into others, and Keras' CSVLogger, which calls the training loss
``loss``. Columns that are not needed are passed over.
"""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from catsdogs.core.errors import DataError

REQUIRED = ("epoch", "train_loss", "val_loss")
# Other names by which the same figures are known; the first that a file has is taken.
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "epoch": ("epoch",),
    "train_loss": ("train_loss", "train_loss_epoch", "loss"),
    "val_loss": ("val_loss", "val_loss_epoch"),
    "train_accuracy": ("train_accuracy", "train_acc", "train_accuracy_epoch", "accuracy"),
    "val_accuracy": ("val_accuracy", "val_acc", "val_accuracy_epoch"),
    "learning_rate": ("learning_rate", "lr"),
}
_LONGEST_CELL = 40


@dataclass(frozen=True)
class LearningCurve:
    """What a run measured, an entry an epoch; NaN where it measured nothing.

    Attributes:
        epochs: As people count them: rising, from 1 where the file counts from 0.
        train_loss: Any loss that is better when smaller.
        val_loss: The same on validation examples.
        train_accuracy: In [0, 1].
        val_accuracy: In [0, 1].
        learning_rate: Of the epoch's last step.
        counts_from_zero: Whether the file does.
        diverged: The first epoch whose training loss was written as no finite number.
    """

    epochs: tuple[int, ...]
    train_loss: tuple[float, ...]
    val_loss: tuple[float, ...]
    train_accuracy: tuple[float, ...]
    val_accuracy: tuple[float, ...]
    learning_rate: tuple[float, ...]
    counts_from_zero: bool = False
    diverged: int | None = None

    @property
    def best_epoch(self) -> int | None:
        """The epoch with the lowest validation loss; None without validation."""
        pairs = [pair for pair in zip(self.val_loss, self.epochs, strict=True) if math.isfinite(pair[0])]
        return min(pairs)[1] if pairs else None

    @classmethod
    def from_values(
        cls,
        train_loss: Sequence[float],
        val_loss: Sequence[float],
        train_accuracy: Sequence[float] = (),
        val_accuracy: Sequence[float] = (),
    ) -> LearningCurve:
        """Build a curve from one value an epoch; nothing stands for no accuracies."""
        nothing = (math.nan,) * len(train_loss)
        return cls(
            tuple(range(1, len(train_loss) + 1)),
            tuple(train_loss),
            tuple(val_loss),
            tuple(train_accuracy) or nothing,
            tuple(val_accuracy) or nothing,
            nothing,
        )


def read_curve(path: Path) -> LearningCurve:
    """Read the curve of a CSV file.

    Rows of one epoch become one: each figure is the mean of what they hold.

    Raises:
        DataError: The file cannot be read, lacks a column, holds no epoch, or a cell is no number.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, strict=True)
            return curve_of(list(reader), str(path), reader.fieldnames or ())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a CSV file"
        raise DataError(f"{path} cannot be read: {reason}") from error


def curve_of(
    rows: Iterable[Mapping[str, str | None]], source: str, header: Sequence[str] | None = None
) -> LearningCurve:
    """Build the curve of a CSV's rows.

    Args:
        rows: Column -> cell; a cell may be blank.
        source: What to call the file in an error.
        header: The columns; None takes those of the first row.

    Raises:
        DataError: As ``read_curve``.
    """
    rows = list(rows)
    names = list(header if header is not None else rows[0] if rows else ())
    columns = _present(names, source)
    cells: defaultdict[int, defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for number, row in enumerate(rows, 2):
        epoch = _epoch(row.get(columns["epoch"]), source, number)
        if epoch is None:
            continue
        for figure, column in columns.items():
            value = _number(row.get(column), f"{source}, row {number}, column {column}")
            if figure != "epoch" and value is not None:
                cells[epoch][figure].append(value)
    # A row of Lightning's that holds only the learning rate is no epoch.
    measured = sorted(epoch for epoch, of in cells.items() if of["train_loss"] or of["val_loss"])
    if not measured:
        raise DataError(f"{source} holds no epoch with a loss")
    shift = int(measured[0] == 0)
    series = {figure: tuple(_mean(cells[epoch][figure]) for epoch in measured) for figure in _COLUMNS}
    lost = [e for e in measured if any(not math.isfinite(value) for value in cells[e]["train_loss"])]
    return LearningCurve(
        tuple(epoch + shift for epoch in measured),
        series["train_loss"],
        series["val_loss"],
        series["train_accuracy"],
        series["val_accuracy"],
        series["learning_rate"],
        counts_from_zero=bool(shift),
        diverged=lost[0] + shift if lost else None,
    )


def _present(header: Sequence[str], source: str) -> dict[str, str]:
    """Return figure -> the column that holds it.

    Raises:
        DataError: A required one is missing.
    """
    known = {name.strip().lower(): name for name in header if name}
    found = {
        figure: known[next(name for name in names if name in known)]
        for figure, names in _COLUMNS.items()
        if any(name in known for name in names)
    }
    missing = [figure for figure in REQUIRED if figure not in found]
    if missing:
        has = ", ".join(name[:_LONGEST_CELL] for name in header[:8] if name) or "nothing"
        raise DataError(f"{source} has no column {' and no column '.join(missing)}; it has {has}")
    return found


def _epoch(cell: str | None, source: str, number: int) -> int | None:
    value = _number(cell, f"{source}, row {number}, column epoch")
    if value is None:
        return None
    if not math.isfinite(value) or value < 0 or value != int(value):
        raise DataError(f"{source}, row {number}: an epoch is a whole number from 0, not {cell}")
    return int(value)


def _number(cell: str | None, where: str) -> float | None:
    if cell is None or not cell.strip():
        return None
    try:
        return float(cell)
    except ValueError:
        raise DataError(f"{where}: {cell[:_LONGEST_CELL]!r} is not a number") from None


def _mean(values: Sequence[float]) -> float:
    """Return the mean; NaN where there is nothing, or something that is not finite."""
    return fmean(values) if values and all(map(math.isfinite, values)) else math.nan
