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
from catsdogs.models.modelcard import CARD, load_card
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
from catsdogs.workflows.data import training_data
from catsdogs.workflows.prepared import Prepared, read_prepared
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
    prepared = read_prepared(run, settings, run.read_plan())
    recipe, card = prepared.recipe, prepared.card
    data = training_data(prepared.plan, recipe, card, settings, run)
    soup = ingredients(recipe.averaging.models, card, run) if recipe.averaging.kind == "soup" else None
    callbacks = _callbacks(prepared, data, say)
    trainer = build_trainer(
        settings.trainer,
        epochs=prepared.phases.epochs,
        precision=prepared.speed.precision,
        folder=str(run.path),
        callbacks=[*callbacks, *([soup] if soup else []), *also],
        unfreezes=len(prepared.phases.phases) > 1,
        alone=alone,
    )
    batches = data.batches_per_epoch(trainer.world_size)
    _require_shareable(recipe, batches, trainer.world_size)
    task = training_task(prepared, data, batches_per_epoch=batches)
    checkpoint = str(run.last) if run.last.exists() else None
    if checkpoint is None and trainer.is_global_zero and not alone:
        promise = Promise.from_plan(prepared.plan, card.head.kind)
        _check(task, data, promise, str(trainer.strategy.root_device), say)
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


def _callbacks(prepared: Prepared, data: EpochDataModule, say: Callable[[str], None]) -> list[Any]:
    """Return the run's own callbacks in the order in which they act, the clock first."""
    run, recipe, card, phases = prepared.run, prepared.recipe, prepared.card, prepared.phases
    average = averaging_for(recipe)

    def save(task: ClassificationTask, epoch: int) -> None:
        best: ImageClassifier = task.classifier
        with average.in_place(best) if average else nullcontext():
            save_model(run.model, best, replace(card, training={**card.training, "epoch": epoch}))

    callbacks: list[Any] = [
        Throughput(workers=data.workers, cores=available_cores(), say=say),
        ApplyPlan(prepared.groups, phases),
        StopDiverged(run.diverged, data.batch_names, len(card.class_names), say),
        WatchLayers(run.watch, prepared.groups, say),
    ]
    if data.val_pictures and recipe.patience_epochs:
        callbacks.append(StopEarly(patience=recipe.patience_epochs, first_epoch=phases.starts[-1]))
    callbacks += [PromptTermination(), EpochLog(run.metrics, say), BestModel(save), LastCheckpoint(run.last)]
    callbacks += [average] if average else []
    callbacks += [DropOnPlateau(recipe.schedule, phases)] if recipe.schedule.name == "plateau" else []
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
