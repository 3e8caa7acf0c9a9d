"""TellEpochs: lets others follow a training, and end it."""

from __future__ import annotations

from collections.abc import Callable

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback


class TellEpochs(Callback):
    """Tells a listener of each epoch: how many are done, of how many, and the validation loss.

    What the listener raises ends the training. Epochs without validation are not told.
    """

    def __init__(self, listener: Callable[[int, int, float], None]) -> None:
        self._listener = listener

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tell."""
        loss = trainer.callback_metrics.get("val_loss")
        if loss is not None:
            self._listener(trainer.current_epoch + 1, trainer.max_epochs or 0, float(loss))
