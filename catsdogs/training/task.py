"""ClassificationTask: what one step does. No plotting, no files, no knowledge of strategies."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from torchmetrics import MeanMetric

from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.layergroups import LayerGroup
from catsdogs.training.losses import training_loss
from catsdogs.training.optimizers import parameter_groups, rate_factor
from catsdogs.training.recipe import Recipe
from catsdogs.training.solvers import build_solver
from catsdogs.transfer.strategies import FreezePlan


class ClassificationTask(pl.LightningModule):
    """Training of an ``ImageClassifier`` by a recipe.

    It logs ``train_loss``, ``train_accuracy``, ``val_loss`` and ``val_accuracy`` once an epoch, over all
    ranks, each picture counted once.

    Args:
        classifier: What learns.
        recipe: The numbers of the training.
        groups: The backbone's layer groups.
        plan: Which of them train when.
        batches_per_epoch: Of this rank.
        factor: On every rate as a function of the step, in place of the plan's schedule.
    """

    def __init__(
        self,
        classifier: ImageClassifier,
        recipe: Recipe,
        *,
        groups: Sequence[LayerGroup],
        plan: FreezePlan,
        batches_per_epoch: int,
        factor: Callable[[int], float] | None = None,
    ) -> None:
        super().__init__()
        self._factor = factor
        self._groups, self._plan = groups, plan
        self._batches_per_epoch = batches_per_epoch
        self.classifier = classifier
        self.recipe = recipe
        self.train_loss, self.train_accuracy = MeanMetric(), MeanMetric()
        self.val_loss, self.val_accuracy = MeanMetric(), MeanMetric()

    def forward(self, pixels: Tensor) -> Tensor:
        """Turn uint8 (B, H, W, 3) into logits (B, C)."""
        logits: Tensor = self.classifier(pixels)
        return logits

    def on_train_epoch_start(self) -> None:
        """Seed dropout from (seed, epoch, rank): a resumed epoch draws what the uninterrupted one drew."""
        epoch = self.trainer.fit_loop.epoch_progress.current.processed  # type: ignore[attr-defined]
        entropy = np.random.SeedSequence([self.recipe.seed, epoch, self.global_rank])
        torch.manual_seed(int(entropy.generate_state(1, np.uint64)[0] >> 1))

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Return the loss of one batch."""
        pixels, labels = batch
        logits = self(pixels)
        loss = training_loss(logits, labels, self.recipe.loss)
        self.train_loss.update(_counted(loss.detach()), len(labels))
        self.train_accuracy.update((logits.detach().argmax(1) == labels).float())
        self.log_dict(
            {"train_loss": self.train_loss, "train_accuracy": self.train_accuracy},
            on_epoch=True,
            on_step=False,
        )
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor, Tensor], _: int) -> None:
        """Add the rows of one batch that count."""
        pixels, labels, counts = batch
        logits = self(pixels).float()
        weights = counts.float()
        self.val_loss.update(_counted(F.cross_entropy(logits, labels, reduction="none")), weights)
        self.val_accuracy.update((logits.argmax(1) == labels).float(), weights)
        self.log_dict(
            {"val_loss": self.val_loss, "val_accuracy": self.val_accuracy}, on_epoch=True, prog_bar=True
        )

    def configure_optimizers(self) -> Any:
        """Return the solver over the layer groups, and each group's schedule, step by step."""
        recipe = self.recipe
        groups = parameter_groups(self.classifier, self._groups, self._plan, recipe)
        factors = [
            self._factor
            or rate_factor(
                self._plan,
                group["layer_group"],
                steps_per_epoch=self._steps_per_epoch(),
                schedule=recipe.schedule,
                most_steps=max(0, self.trainer.max_steps) or None,
            )
            for group in groups
        ]
        optimizer = build_solver(recipe.solver, groups)
        return [optimizer], [{"scheduler": LambdaLR(optimizer, factors), "interval": "step"}]

    def _steps_per_epoch(self) -> int:
        """Return the optimizer's steps in one epoch.

        ``Trainer.estimated_stepping_batches`` would do, but it starts the data loader before a resumed run
        knows its epoch, and the workers would fetch the pictures of epoch 0.
        """
        trainer, batches = self.trainer, self._batches_per_epoch
        limit = trainer.limit_train_batches
        batches = int(batches * limit) if isinstance(limit, float) else min(batches, int(limit or 0))
        return max(1, math.ceil(batches / trainer.accumulate_grad_batches))


def _counted(losses: Tensor) -> Tensor:
    """Turn NaN into infinity: ``MeanMetric`` would leave it out, and a broken model would look fine."""
    return losses.nan_to_num(math.inf, math.inf, -math.inf)
