"""Applying a freeze plan: at the start of each epoch, from the epoch alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.layergroups import LayerGroup
from catsdogs.training.optimizers import training_parameters
from catsdogs.transfer.strategies import FreezePlan


def freeze_for_wrapping(classifier: ImageClassifier, groups: Sequence[LayerGroup], plan: FreezePlan) -> None:
    """Freeze what no phase trains, and set the modes.

    What is frozen only for a while must be trainable when DDP wraps the network, or its gradients are never
    synchronised; ``ApplyPlan`` freezes it afterwards.
    """
    classifier.set_trainable(training_parameters(classifier, groups, plan))
    classifier.train()


class ApplyPlan(Callback):
    """Freezes and unfreezes at the start of every epoch; a resumed run finds what the epoch says."""

    def __init__(self, groups: Sequence[LayerGroup], plan: FreezePlan) -> None:
        self._groups, self._plan = groups, plan

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Set what requires gradients, then the modes that follow from it."""
        classifier: Any = pl_module.classifier
        names = training_parameters(classifier, self._groups, self._plan, trainer.current_epoch)
        classifier.set_trainable(names)
        classifier.train()
