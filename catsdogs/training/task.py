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
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torchmetrics import MeanMetric

from catsdogs.data.mixing import Mixing
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.layergroups import LayerGroup
from catsdogs.training.auxiliary import AuxiliaryClassifier
from catsdogs.training.distillation import Teacher
from catsdogs.training.losses import training_loss
from catsdogs.training.optimizers import momentum_at, parameter_groups, rate_factor
from catsdogs.training.penalties import Penalty
from catsdogs.training.recipe import Recipe
from catsdogs.training.solvers import build_solver, set_momentum
from catsdogs.transfer.strategies import FreezePlan


class ClassificationTask(pl.LightningModule):
    """Training of an ``ImageClassifier`` by a recipe.

    It logs ``train_loss``, ``train_accuracy``, ``val_loss`` and ``val_accuracy`` once an epoch, over all
    ranks, each picture counted once. Where batches are mixed, the training loss is that of the mixed labels,
    and a mixed picture counts as right by the share of the class that is answered (Zhang et al. 2018's own
    code does the same): even a perfect network stays below 1, so compare with validation where mixing is off.

    Args:
        classifier: What learns.
        recipe: The numbers of the training.
        groups: The backbone's layer groups.
        plan: Which of them train when.
        batches_per_epoch: Of this rank.
        factor: On every rate as a function of the step, in place of the plan's schedule.
        mixing: mixup and CutMix of the training batches, if any.
        auxiliary: A second classifier that learns along; it counts in no figure.
        teacher: Whose answers are learned beside the labels; they count in no figure.
        class_weights: Of the validation loss, and of the training loss where the recipe says so.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        classifier: ImageClassifier,
        recipe: Recipe,
        *,
        groups: Sequence[LayerGroup],
        plan: FreezePlan,
        batches_per_epoch: int,
        factor: Callable[[int], float] | None = None,
        mixing: Mixing | None = None,
        auxiliary: AuxiliaryClassifier | None = None,
        teacher: Teacher | None = None,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self._mixing = mixing
        self.auxiliary, self.teacher = auxiliary, teacher
        self._factor = factor
        self._groups, self._plan = groups, plan
        self._batches_per_epoch = batches_per_epoch
        self.classifier = classifier
        self.recipe = recipe
        decay = recipe.solver.decay if recipe.solver.full_batch else 0.0
        self.penalty = Penalty(classifier, recipe.loss, decay=decay)
        weights = None if class_weights is None else torch.tensor(class_weights)
        self.register_buffer("class_weights", weights, persistent=False)
        self.train_loss, self.train_accuracy = MeanMetric(), MeanMetric()
        self.val_loss, self.val_accuracy = MeanMetric(), MeanMetric()

    def forward(self, pixels: Tensor) -> Tensor:
        """Turn uint8 (B, H, W, 3) into logits (B, C)."""
        logits: Tensor = self.classifier(pixels)
        return logits

    def on_train_epoch_start(self) -> None:
        """Seed dropout from (seed, epoch, rank): a resumed epoch draws what the uninterrupted one drew."""
        entropy = np.random.SeedSequence([self.recipe.seed, self._epoch, self.global_rank])
        torch.manual_seed(int(entropy.generate_state(1, np.uint64)[0] >> 1))

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the loss of one batch; penalties and a teacher's answers are not in ``train_loss``."""
        inputs, labels = batch
        if self._mixing is not None and self._mixing.is_on(self._epoch):
            inputs, labels = self._mixing(
                inputs, labels, epoch=self._epoch, step=batch_idx, rank=self.global_rank
            )
        logits = self(inputs)
        asked = self.recipe.loss
        weights = self.class_weights if asked.class_weights != "none" else None
        loss = training_loss(logits, labels, asked, weights)
        self._log_training(loss.detach(), logits.detach(), labels)
        if self.teacher is not None:
            loss = self.teacher.loss(inputs, logits, loss)
        penalised: Tensor = loss + self.penalty()
        if self.auxiliary is None:
            return penalised
        return penalised + self.auxiliary.loss(labels, asked, weights)

    def _log_training(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        figures = {"train_loss": self.train_loss, "train_accuracy": self.train_accuracy}
        # A line search asks many times in one step; the last answer counts.
        if self.recipe.solver.full_batch:
            for figure in figures.values():
                figure.reset()
        self.train_loss.update(_counted(loss), len(labels))
        self.train_accuracy.update(share_right(logits, labels))
        self.log_dict(figures, on_epoch=True, on_step=False)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Set the momentum where the schedule has one."""
        momentum = None if self._factor else momentum_at(self._plan, self.global_step, **self._steps())
        if momentum is not None:
            set_momentum(optimizer, momentum)

    def validation_step(self, batch: tuple[Tensor, Tensor, Tensor], _: int) -> None:
        """Add the rows of one batch that count."""
        pixels, labels, counts = batch
        logits = self(pixels).float()
        weights = counts.float() if self.class_weights is None else counts * self.class_weights[labels]
        self.val_loss.update(_counted(F.cross_entropy(logits, labels, reduction="none")), weights)
        self.val_accuracy.update((logits.argmax(1) == labels).float(), weights)
        self.log_dict(
            {"val_loss": self.val_loss, "val_accuracy": self.val_accuracy}, on_epoch=True, prog_bar=True
        )

    def configure_optimizers(self) -> Any:
        """Return the solver over the layer groups, and each group's schedule, step by step."""
        recipe = self.recipe
        companions = [part for part in (self.auxiliary, self.teacher) if part is not None]
        groups = parameter_groups(self.classifier, self._groups, self._plan, recipe, companions)
        optimizer = build_solver(recipe.solver, groups, fused=not self.trainer.gradient_clip_val)
        factors = [
            self._factor or rate_factor(self._plan, group["layer_group"], **self._steps())
            for group in optimizer.param_groups
        ]
        return [optimizer], [{"scheduler": LambdaLR(optimizer, factors), "interval": "step"}]

    @property
    def _epoch(self) -> int:
        """The epoch that trains, also in the first one after a resume."""
        return int(self.trainer.fit_loop.epoch_progress.current.processed)  # type: ignore[attr-defined]

    def _steps(self) -> dict[str, Any]:
        """Return what turns a step into a rate."""
        return {
            "steps_per_epoch": self.steps_per_epoch(),
            "schedule": self.recipe.schedule,
            "most_steps": max(0, self.trainer.max_steps) or None,
        }

    def steps_per_epoch(self) -> int:
        """Return the optimizer's steps in one epoch.

        ``Trainer.estimated_stepping_batches`` would do, but it starts the data loader before a resumed run
        knows its epoch, and the workers would fetch the pictures of epoch 0.
        """
        trainer, batches = self.trainer, self._batches_per_epoch
        limit = trainer.limit_train_batches
        batches = int(batches * limit) if isinstance(limit, float) else min(batches, int(limit or 0))
        return max(1, math.ceil(batches / trainer.accumulate_grad_batches))


def share_right(logits: Tensor, labels: Tensor) -> Tensor:
    """Return how right each answer is, float (B,) in [0, 1]: the share of the answered class in the label.

    Args:
        logits: (B, C).
        labels: Classes int64 (B,), or each class's share float (B, C).
    """
    answers = logits.argmax(1)
    if labels.ndim == 1:
        return (answers == labels).float()
    return labels.gather(1, answers[:, None])[:, 0]


def _counted(losses: Tensor) -> Tensor:
    """Turn NaN into infinity: ``MeanMetric`` would leave it out, and a broken model would look fine."""
    return losses.nan_to_num(math.inf, math.inf, -math.inf)
