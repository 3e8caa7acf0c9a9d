"""What happens around the training loop: one effect a class."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, Checkpoint, EarlyStopping
from lightning.pytorch.plugins.io import TorchCheckpointIO

from catsdogs.core.errors import ModelError
from catsdogs.core.files import replacing
from catsdogs.core.interrupts import Terminated
from catsdogs.core.metricsfile import METRICS, write_epoch
from catsdogs.training.task import ClassificationTask


class DurableCheckpointIO(TorchCheckpointIO):
    """Checkpoints that are whole on disk before they replace the last one, and that cannot run code."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write to a temporary file, flush it, rename it."""
        with replacing(Path(path)) as temporary:
            torch.save(checkpoint, temporary)

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Read tensors and plain values; anything else is refused.

        Raises:
            ModelError: The file is missing, truncated, or holds something else.
        """
        try:
            loaded: dict[str, Any] = torch.load(path, map_location=map_location or "cpu", weights_only=True)
        except Exception as error:  # a damaged zip or pickle can fail in many ways; the remedy is one
            reason = str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
            raise ModelError(f"{path} is not a checkpoint of catsdogs ({reason})") from error
        return loaded


class BestModel(Callback):
    """Hands the classifier to ``save`` whenever the validation loss is the best so far.

    Without validation every epoch is the best. It runs before ``LastCheckpoint``: a run killed between the
    two repeats the epoch and writes the same model again.
    """

    def __init__(self, save: Callable[[ClassificationTask, int], None]) -> None:
        self._save = save
        self.best_loss = float("inf")
        self.best_epoch = -1

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compare and save."""
        loss = float(trainer.callback_metrics.get("val_loss", self.best_loss))
        if trainer.num_val_batches and sum(trainer.num_val_batches) and not loss < self.best_loss:
            return
        self.best_loss, self.best_epoch = loss, trainer.current_epoch
        if trainer.is_global_zero:
            assert isinstance(pl_module, ClassificationTask)
            self._save(pl_module, trainer.current_epoch)

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run must know."""
        return {"best_loss": self.best_loss, "best_epoch": self.best_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up where the interrupted run was."""
        self.best_loss, self.best_epoch = state_dict["best_loss"], state_dict["best_epoch"]


class LastCheckpoint(Checkpoint):
    """Writes the resumable checkpoint at the end of every epoch, after every other callback."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write it, on every rank together as Lightning wants it."""
        trainer.save_checkpoint(self._path)


class StopEarly(EarlyStopping):
    """Early stopping that a resumed run remembers: one that had stopped does not train another epoch.

    Epochs before ``first_epoch`` do not count: a plan's last layers may not have begun to train.
    """

    def __init__(self, *, patience: int, first_epoch: int = 0) -> None:
        super().__init__("val_loss", patience=patience)
        self._first_epoch = first_epoch

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop at once where the patience was already exhausted."""
        if self.wait_count >= self.patience:
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count the epoch, unless it is too early."""
        if trainer.current_epoch >= self._first_epoch:
            super().on_train_epoch_end(trainer, pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count it here where validation does not come once an epoch."""
        if trainer.current_epoch >= self._first_epoch:
            super().on_validation_end(trainer, pl_module)


class EpochLog(Callback):
    """One row an epoch in ``metrics.csv`` and one line for people."""

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        self._path, self._say = path, say
        self._started_s = 0.0
        self._learning_rate = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._started_s = time.monotonic()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Note the rate of this step: the scheduler has moved on when the epoch ends."""
        self._learning_rate = max(float(group["lr"]) for group in trainer.optimizers[0].param_groups)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the row in place of any that an interrupted run left for this epoch or later ones."""
        if not trainer.is_global_zero:
            return
        figures = {name: _shortest(value) for name, value in trainer.callback_metrics.items()}
        row: dict[str, Any] = {name: figures.get(name, "") for name in METRICS}
        row["epoch"] = trainer.current_epoch
        row["learning_rate"] = self._learning_rate
        row["seconds"] = round(time.monotonic() - self._started_s, 3)
        write_epoch(self._path, METRICS, trainer.current_epoch, [row])
        # Where classes weigh the same, so do they in what validation tells.
        kind = "accuracy" if getattr(pl_module, "class_weights", None) is None else "balanced accuracy"
        self._say(_sentence(row, trainer.max_epochs or 0, kind))


def _shortest(value: torch.Tensor) -> float:
    """Return a float32 with the fewest digits that tell it apart."""
    return float(str(np.float32(value.item())))


def _sentence(row: dict[str, Any], epochs: int, kind: str) -> str:
    parts = [f"epoch {row['epoch'] + 1}/{epochs}: train loss {row['train_loss']:.4f}"]
    if row["val_loss"] != "":
        parts.append(f"val loss {row['val_loss']:.4f}, val {kind} {row['val_accuracy']:.2%}")
    return f"{', '.join(parts)} ({row['seconds']:.1f} s)"


class PromptTermination(Callback):
    """Makes SIGTERM end the run at once and take the processes that it launched along.

    Lightning's own handler waits for the end of a batch and talks to the other ranks from inside the signal.
    The last checkpoint is whole whenever the signal comes, so nothing is worth waiting for.
    """

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the handler's place once Lightning has set it."""
        if os.name == "nt":
            return

        def stop(number: int, _: FrameType | None) -> None:
            launcher = trainer.strategy.launcher
            if launcher is not None:
                launcher.kill(signal.Signals(number))
            raise Terminated

        signal.signal(signal.SIGTERM, stop)
