"""Divergence: a loss that is no number any more stops the run, one that has exploded is said."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from catsdogs.core.errors import DivergedError
from catsdogs.core.files import replacing

# A picture that costs 10,000 times what guessing costs has a probability of e^-7000: nothing comes back
# from there, and soon the numbers overflow.
_ABSURD = 1e4
# The mean over an epoch. Smoothing, mixing and strong augmentation bring it near that of guessing, not far
# above it; penalties on the weights are in the first loss already.
_EXPLODED = 3.0
COLUMNS = ("epoch", "step", "path")


class StopDiverged(Callback):
    """Stops at the first loss that is not finite, or absurd, and writes down which pictures were in the step.

    All processes stop at the same step. At the end of an epoch it looks at the weights and at the validation
    loss too, before anything is saved: the last step may have spoiled them.

    Args:
        path: Where the names of the pictures go.
        names: (epoch, batch) -> what was in it.
        classes: Number of classes: guessing costs the logarithm of it.
        say: Tells people of a loss that has exploded but is still a number.
    """

    def __init__(
        self,
        path: Path,
        names: Callable[[int, int], Sequence[str]],
        classes: int,
        say: Callable[[str], None],
    ) -> None:
        self._path, self._names, self._say = path, names, say
        self._guessing = math.log(classes)
        self._first_loss: float | None = None
        self._said = False
        self._batch = 0

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Note which batch it is."""
        self._batch = batch_idx

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        """Look at the loss before it spoils a weight.

        Raises:
            DivergedError: It is not finite, or absurd, on any process.
        """
        value = float(loss.detach()) * trainer.accumulate_grad_batches
        if self._first_loss is None:
            self._first_loss = value
        good = self._is_loss(value)
        if trainer.world_size > 1:
            good = trainer.strategy.reduce_boolean_decision(good, all=True)
        if not good:
            step = trainer.global_step + 1
            self._write(trainer.current_epoch, step, trainer)
            raise DivergedError(f"the training loss is {value:.3g} at step {step} ({_epoch(trainer)})")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look at what would be saved, then at how far the loss has come.

        Raises:
            DivergedError: A weight or the validation loss is not finite, or absurd.
        """
        weights = [parameter.detach() for parameter in pl_module.parameters() if parameter.requires_grad]
        norms = torch.stack(torch._foreach_norm(weights))
        if not torch.isfinite(norms).all():
            raise DivergedError(
                f"weights are not finite after step {trainer.global_step} ({_epoch(trainer)})"
            )
        figures = trainer.callback_metrics
        val_loss = float(figures.get("val_loss", 0.0))
        if not self._is_loss(val_loss):
            raise DivergedError(f"the validation loss is {val_loss:.3g} after {_epoch(trainer)}")
        self._say_explosion(float(figures["train_loss"]), trainer)

    def _is_loss(self, value: float) -> bool:
        return math.isfinite(value) and abs(value) < _ABSURD * self._guessing

    def _say_explosion(self, loss: float, trainer: pl.Trainer) -> None:
        usual = max(self._guessing, self._first_loss or 0.0)
        if trainer.is_global_zero and not self._said and loss > _EXPLODED * usual:
            self._said = True
            self._say(
                f"warning: the training loss of {_epoch(trainer)} is {loss:.3g}, far above the "
                f"{self._guessing:.2f} of guessing: lower --transfer.learning_rate"
            )

    def _write(self, epoch: int, step: int, trainer: pl.Trainer) -> None:
        if not trainer.is_global_zero:
            return
        with replacing(self._path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(COLUMNS)
            writer.writerows([epoch, step, name] for name in self._names(epoch, self._batch))


def _epoch(trainer: pl.Trainer) -> str:
    return f"epoch {trainer.current_epoch + 1}"
