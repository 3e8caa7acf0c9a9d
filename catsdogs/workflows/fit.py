"""Fit: gradient epochs, from the files that prepare wrote and nothing else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from lightning.pytorch.callbacks import Callback
from lightning.pytorch.trainer.states import TrainerStatus

from catsdogs.core.errors import ConfigError, DivergedError
from catsdogs.data.datamodule import EpochDataModule
from catsdogs.models.choosing import available_cores
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.layergroups import LayerGroup, layer_groups
from catsdogs.models.modelcard import CARD, ModelCard, load_card
from catsdogs.models.modelfile import load_model, save_model
from catsdogs.training.averaging import averaging_for
from catsdogs.training.callbacks import BestModel, EpochLog, LastCheckpoint, PromptTermination, StopEarly
from catsdogs.training.callbacks.divergence import StopDiverged
from catsdogs.training.callbacks.throughput import Throughput
from catsdogs.training.callbacks.watch import WatchLayers
from catsdogs.training.checks import EXAMPLES, Promise, check
from catsdogs.training.freezing import ApplyPlan
from catsdogs.training.plateau import DropOnPlateau
from catsdogs.training.recipe import Recipe
from catsdogs.training.task import ClassificationTask
from catsdogs.training.trainer import build_trainer, quiet
from catsdogs.training.trial import TrainingSpeed
from catsdogs.transfer.strategies import FreezePlan
from catsdogs.workflows.data import training_data
from catsdogs.workflows.runfolder import RunFolder
from catsdogs.workflows.settings import TrainSettings
from catsdogs.workflows.soup import cook, ingredients
from catsdogs.workflows.task import training_task


def fit(
    settings: TrainSettings,
    run: RunFolder,
    say: Callable[[str], None],
    *,
    alone: bool = False,
    also: Sequence[Callback] = (),
) -> bool:
    """Train from the start model, or on from the last checkpoint; return whether this is the first process.

    Args:
        settings: Of the run.
        run: What prepare wrote.
        say: Tells people of each epoch.
        alone: Whether this process trains by itself although others may have been launched with it.
        also: Callbacks beside the run's own; they may end the training with an exception.

    Raises:
        KeyboardInterrupt: Ctrl-C; the last checkpoint is whole.
        UserError: The run folder or the Trainer's options do not allow it.
    """
    written = run.read_plan()
    recipe = Recipe.from_dict(written["recipe"])
    plan = FreezePlan.from_list(written["freeze_plan"])
    speed = TrainingSpeed(**written["training_speed"])
    classifier, card = load_model(run.start, stochastic_depth=settings.model.stochastic_depth)
    classifier.frozen_statistics = written["frozen_statistics"]
    classifier.set_channels_last(speed.channels_last)
    groups = layer_groups(classifier.backbone)
    data = training_data(written, recipe, card, settings, run)
    clock, *watchers = _watchers(data, card, groups, run, say)
    soup = ingredients(recipe.averaging.models, card, run) if recipe.averaging.kind == "soup" else None
    callbacks = [
        clock,
        ApplyPlan(groups, plan),
        *watchers,
        *_callbacks(recipe, card, plan, run, say, validates=bool(data.val_pictures)),
        *([soup] if soup else []),
        *also,
    ]
    trainer = build_trainer(
        settings.trainer,
        epochs=plan.epochs,
        precision=speed.precision,
        folder=str(run.path),
        callbacks=callbacks,
        unfreezes=len(plan.phases) > 1,
        alone=alone,
    )
    batches = data.batches_per_epoch(trainer.world_size)
    _require_shareable(recipe, batches, trainer.world_size)
    task = training_task(
        classifier,
        recipe,
        written,
        groups=groups,
        phases=plan,
        batches_per_epoch=batches,
        data=data,
        card=card,
        run=run,
    )
    checkpoint = str(run.last) if run.last.exists() else None
    if checkpoint is None and trainer.is_global_zero and not alone:
        _check(task, data, Promise.from_plan(written, card.head.kind), str(trainer.strategy.root_device), say)
    try:
        _run(trainer, task, data, checkpoint)
    except DivergedError as error:
        if not trainer.is_global_zero:
            sys.exit(2)  # the first process tells
        raise _with_remedy(error, recipe, run) from error
    if soup:
        cook(soup, trainer, task, data, card, run, say)
    return bool(trainer.is_global_zero)


def _require_shareable(recipe: Recipe, batches: int, processes: int) -> None:
    """Refuse what so many processes cannot do together."""
    if not batches:
        raise ConfigError(f"a batch of {recipe.batch_size} cannot be shared by {processes} processes")
    if recipe.solver.full_batch and processes > 1:
        raise ConfigError(f"--solver.name {recipe.solver.name} searches along one line: give it one device")


def _check(
    task: ClassificationTask,
    data: EpochDataModule,
    promise: Promise | None,
    device: str,
    say: Callable[[str], None],
) -> None:
    """Look at one batch before the first epoch and say what was found."""
    count = min(EXAMPLES, task.recipe.batch_size)
    training, unseen = data.first_examples(count), data.some_validation(count)
    findings = check(task.classifier, training, unseen, promise=promise, device=device)
    for line in (findings.summary, *findings.warnings):
        say(line)


def _with_remedy(error: DivergedError, recipe: Recipe, run: RunFolder) -> DivergedError:
    """Leave a model to go on with, and say what to do."""
    if (run.model / CARD).exists():
        model = f"the model of epoch {load_card(run.path).training['epoch'] + 1}"
    else:
        save_model(run.model, *load_model(run.start))
        model = "the start model"
    pictures = f"; the pictures of that step are listed in {run.diverged}" if run.diverged.exists() else ""
    return DivergedError(
        f"{error}: start again with a lower --transfer.learning_rate ({recipe.learning_rate:g} now); "
        f"{run.path} holds {model}{pictures}"
    )


def _watchers(
    data: EpochDataModule,
    card: ModelCard,
    groups: Sequence[LayerGroup],
    run: RunFolder,
    say: Callable[[str], None],
) -> list[Any]:
    """Return the callbacks that look at the training and change nothing in it, the clock first."""
    return [
        Throughput(workers=data.workers, cores=available_cores(), say=say),
        StopDiverged(run.diverged, data.batch_names, len(card.class_names), say),
        WatchLayers(run.watch, groups, say),
    ]


def _callbacks(
    recipe: Recipe,
    card: ModelCard,
    plan: FreezePlan,
    run: RunFolder,
    say: Callable[[str], None],
    *,
    validates: bool,
) -> list[Any]:
    average = averaging_for(recipe)

    def save(task: ClassificationTask, epoch: int) -> None:
        best: ImageClassifier = task.classifier
        with average.in_place(best) if average else nullcontext():
            save_model(run.model, best, replace(card, training={**card.training, "epoch": epoch}))

    callbacks = [PromptTermination(), EpochLog(run.metrics, say), BestModel(save), LastCheckpoint(run.last)]
    callbacks += [average] if average else []
    callbacks += [DropOnPlateau(recipe.schedule, plan)] if recipe.schedule.name == "plateau" else []
    if validates and recipe.patience_epochs:
        callbacks.insert(0, StopEarly(patience=recipe.patience_epochs, first_epoch=plan.starts[-1]))
    return callbacks


def _run(trainer: Any, task: ClassificationTask, data: EpochDataModule, checkpoint: str | None) -> None:
    """Run the loop; Lightning swallows Ctrl-C and exits with 1, which is not what happened."""
    with quiet():
        try:
            trainer.fit(task, datamodule=data, ckpt_path=checkpoint, weights_only=True)
        except SystemExit:
            if trainer.state.status == TrainerStatus.INTERRUPTED:
                raise KeyboardInterrupt from None
            raise
