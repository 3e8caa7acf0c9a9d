"""Overfitting one batch on purpose: whoever cannot learn sixteen pictures by heart cannot learn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

MOST_STEPS = 400
# Of the loss of guessing, in the mean of a few steps: every picture has its class with 96 % (of two).
_NEAR_ZERO = 0.05
_MEAN_OF = 5


@dataclass(frozen=True)
class Overfit:
    """Losses of the steps on one batch.

    Attributes:
        losses: Before each step.
        pictures: In the batch.
        classes: Number of classes.
    """

    losses: tuple[float, ...]
    pictures: int
    classes: int

    @property
    def succeeded(self) -> bool:
        """Whether the loss came near zero."""
        return near_zero(self.losses, self.classes)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self) | {"succeeded": self.succeeded}


def near_zero(losses: Sequence[float], classes: int) -> bool:
    """Say whether the last few losses are near zero, beside that of guessing.

    >>> near_zero([0.7, 0.3, 0.03, 0.03, 0.03, 0.03, 0.03], classes=2)
    True
    """
    last = losses[-_MEAN_OF:]
    return len(last) == _MEAN_OF and sum(last) / _MEAN_OF < _NEAR_ZERO * math.log(classes)


class UntilNearZero(Callback):
    """Notes the loss of every step, and stops once it is near zero or no number any more."""

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self.losses: list[float] = []

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note the loss."""
        self.losses.append(float(outputs["loss"]))
        if near_zero(self.losses, self._classes) or not math.isfinite(self.losses[-1]):
            trainer.should_stop = True
