"""The task of a prepared run: what is learned, mixed, weighed and taught, in training and rate finder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from catsdogs.data.datamodule import EpochDataModule
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.layergroups import LayerGroup
from catsdogs.models.modelcard import ModelCard
from catsdogs.training.auxiliary import auxiliary_for
from catsdogs.training.freezing import freeze_for_wrapping
from catsdogs.training.recipe import Recipe
from catsdogs.training.task import ClassificationTask
from catsdogs.transfer.strategies import FreezePlan
from catsdogs.workflows.data import class_weights, training_mixing
from catsdogs.workflows.runfolder import RunFolder
from catsdogs.workflows.teaching import teacher_for


def training_task(
    classifier: ImageClassifier,
    recipe: Recipe,
    plan: Mapping[str, Any],
    *,
    groups: Sequence[LayerGroup],
    phases: FreezePlan,
    batches_per_epoch: int,
    data: EpochDataModule,
    card: ModelCard,
    run: RunFolder,
    factor: Callable[[int], float] | None = None,
    mixed_until: int | None = None,
) -> ClassificationTask:
    """Freeze what never trains, and return what one step does.

    Args:
        classifier: What learns.
        recipe: The numbers.
        plan: As ``plan.json`` holds it.
        groups: The backbone's layer groups.
        phases: Which of them train when.
        batches_per_epoch: Of this process.
        data: Its training pictures are weighed by class where the recipe or the sampler says so.
        card: Classes.
        run: Where the teacher is, if any.
        factor: On every rate as a function of the step, in place of the plan's schedule.
        mixed_until: The first epoch without mixing, in place of the plan's.
    """
    freeze_for_wrapping(classifier, groups, phases)
    return ClassificationTask(
        classifier,
        recipe,
        groups=groups,
        plan=phases,
        batches_per_epoch=batches_per_epoch,
        factor=factor,
        mixing=training_mixing(plan, recipe, card, until_epoch=mixed_until),
        auxiliary=auxiliary_for(classifier, plan, seed=recipe.seed),
        teacher=teacher_for(classifier, recipe, run),
        class_weights=class_weights(recipe, data, len(card.class_names)),
    )
