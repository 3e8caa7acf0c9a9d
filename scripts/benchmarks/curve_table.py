"""The file of curves, and the table of what the diagnosis calls them."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

COLUMNS = (
    "half",
    "family",
    "kind",
    "variant",
    "train_loss",
    "val_loss",
    "train_accuracy",
    "val_accuracy",
)
_SERIES = COLUMNS[4:]


@dataclass(frozen=True)
class LabelledCurve:
    """A run's curve and what it is; accuracies are empty where targets are numbers.

    Attributes:
        half: ``tune`` or ``held-out``.
        family: Of ``FAMILIES``.
        kind: Of ``MAKERS``.
        variant: How it was made.
        train_loss: A number an epoch, as are the others.
    """

    half: str
    family: str
    kind: str
    variant: str
    train_loss: tuple[float, ...]
    val_loss: tuple[float, ...]
    train_accuracy: tuple[float, ...] = ()
    val_accuracy: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        """The kind as the diagnosis names it, without what stands in brackets."""
        return self.kind.partition(" (")[0]


def write_curves(path: Path, curves: Iterable[LabelledCurve]) -> None:
    """Write a row a curve: its series are numbers with blanks between them, four digits each."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for curve in curves:
            series = (" ".join(map(_short, getattr(curve, name))) for name in _SERIES)
            writer.writerow([curve.half, curve.family, curve.kind, curve.variant, *series])


def read_curves(path: Path) -> list[LabelledCurve]:
    """Return the curves of a file of ``write_curves``."""
    with path.open(newline="", encoding="utf-8") as stream:
        return [
            LabelledCurve(
                *(row[name] for name in COLUMNS[:4]),
                *(tuple(map(float, row[name].split())) for name in _SERIES),
            )
            for row in csv.DictReader(stream)
        ]


def confusion(pairs: Sequence[tuple[str, str]]) -> str:
    """Return a Markdown table of what was called what.

    Args:
        pairs: The true kind and the name that was given, for each curve.
    """
    truths = list(dict.fromkeys(truth for truth, _ in pairs))
    names = sorted({name for _, name in pairs})
    counts = Counter(pairs)
    lines = [f"| made as | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for truth in truths:
        lines.append(f"| {truth} | {' | '.join(str(counts[truth, name] or '') for name in names)} |")
    return "\n".join(lines)


def _short(value: float) -> str:
    """Return three digits behind the first zeros, without what can be left out."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    return f"{value:.3g}".replace("0.", ".", 1) if 1e-4 <= abs(value) < 1 else f"{value:.3g}"
