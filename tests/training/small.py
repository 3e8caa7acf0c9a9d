"""One real training of a small head on two clouds of points, as ``workflows.fit`` does it, in a moment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback
from torch import nn

from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.data.datamodule import FeatureDataModule
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HeadSpec
from catsdogs.training.callbacks import LastCheckpoint
from catsdogs.training.freezing import ApplyPlan, freeze_for_wrapping
from catsdogs.training.recipe import Recipe
from catsdogs.training.task import ClassificationTask
from catsdogs.training.trainer import build_trainer, quiet
from catsdogs.transfer.strategies import FreezePlan, Phase

WIDTH, POINTS, BATCH = 6, 64, 16
STEPS = POINTS // BATCH


def points(seed: int = 0, *, flipped: bool = False) -> tuple[torch.Tensor, list[int]]:
    """Return rows and classes that a line almost parts; ``flipped`` gives every one the wrong class."""
    chance = torch.Generator().manual_seed(seed)
    rows = torch.randn(POINTS, WIDTH, generator=chance)
    labels = (rows.sum(1) + 0.5 * torch.randn(POINTS, generator=chance) > 0).long()
    return rows, ((1 - labels) if flipped else labels).tolist()


def make_head(hidden: int = 8) -> ImageClassifier:
    """Return a classifier that takes rows and has nothing but a head of one hidden layer."""
    torch.manual_seed(1)
    head = build_head(WIDTH, 2, HeadSpec(kind="mlp", hidden=hidden))
    return ImageClassifier(nn.Identity(), head, PreprocessSpec(8, 8))


def learn(
    folder: Path,
    *callbacks: Callback,
    classifier: ImageClassifier | None = None,
    plan: FreezePlan | None = None,
    val: tuple[torch.Tensor, list[int]] | None = None,
    options: dict[str, Any] | None = None,
    batch_size: int = BATCH,
    checkpoint: Path | None = None,
    class_weights: list[float] | None = None,
    **changes: Any,
) -> ClassificationTask:
    """Train and return the task, its ``trainer`` still there; ``changes`` are those of the recipe."""
    classifier = classifier or make_head()
    plan = plan or FreezePlan((Phase(changes.pop("epochs", 5), ()),))
    recipe = Recipe(plan.epochs, 0.02, 1.0, 1.0, batch_size, 0, 0)
    recipe = replace(recipe, **changes)
    data = FeatureDataModule(points(), val or points(1), batch_size=batch_size, seed=0)
    trainer = build_trainer(
        {"accelerator": "cpu", "deterministic": True, "enable_progress_bar": False, **(options or {})},
        epochs=plan.epochs,
        precision="32-true",
        folder=str(folder),
        callbacks=[ApplyPlan((), plan), *callbacks, LastCheckpoint(folder / "last.ckpt")],
    )
    freeze_for_wrapping(classifier, (), plan)
    task = ClassificationTask(
        classifier,
        recipe,
        groups=(),
        plan=plan,
        batches_per_epoch=data.batches_per_epoch(1),
        class_weights=class_weights,
    )
    with quiet():
        trainer.fit(task, datamodule=data, ckpt_path=str(checkpoint) if checkpoint else None)
    return task


class Steps(Callback):
    """Notes rate and momentum of every step, and the classifier after it."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.momenta: list[Any] = []
        self.states: list[dict[str, torch.Tensor]] = []

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        self.rates.append(optimizer.param_groups[0]["lr"])

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        group = trainer.optimizers[0].param_groups[0]
        self.momenta.append(group["betas"][0] if "betas" in group else group.get("momentum"))
        self.states.append({name: value.clone() for name, value in pl_module.classifier.state_dict().items()})
