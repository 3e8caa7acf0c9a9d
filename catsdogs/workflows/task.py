"""The task of a prepared run: what is learned, mixed, weighed and taught, in training and rate finder."""

from __future__ import annotations

from collections.abc import Callable

from catsdogs.data.datamodule import EpochDataModule
from catsdogs.training.auxiliary import auxiliary_for
from catsdogs.training.freezing import freeze_for_wrapping
from catsdogs.training.task import ClassificationTask
from catsdogs.workflows.data import class_weights, training_mixing
from catsdogs.workflows.prepared import Prepared
from catsdogs.workflows.teaching import teacher_for


def training_task(
    prepared: Prepared,
    data: EpochDataModule,
    *,
    batches_per_epoch: int,
    factor: Callable[[int], float] | None = None,
    mixed_until: int | None = None,
) -> ClassificationTask:
    """Freeze what never trains, and return what one step does.

    Args:
        prepared: The run, whose teacher it takes if there is one.
        data: Its training pictures are weighed by class where the recipe or the sampler says so.
        batches_per_epoch: Of this process.
        factor: On every rate as a function of the step, in place of the plan's schedule.
        mixed_until: The first epoch without mixing, in place of the plan's.
    """
    classifier, recipe, card = prepared.classifier, prepared.recipe, prepared.card
    freeze_for_wrapping(classifier, prepared.groups, prepared.phases)
    return ClassificationTask(
        classifier,
        recipe,
        groups=prepared.groups,
        plan=prepared.phases,
        batches_per_epoch=batches_per_epoch,
        factor=factor,
        mixing=training_mixing(prepared.plan, recipe, card, until_epoch=mixed_until),
        auxiliary=auxiliary_for(classifier, prepared.plan, seed=recipe.seed),
        teacher=teacher_for(classifier, recipe, prepared.run),
        class_weights=class_weights(recipe, data, len(card.class_names)),
    )
