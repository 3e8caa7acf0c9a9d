"""The data module of a prepared run: pictures, or cached features where only a head learns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from catsdogs.data.augmentation import Augmentation
from catsdogs.data.balance import balanced_weights
from catsdogs.data.datamodule import EpochDataModule, FeatureDataModule, ImageDataModule, labelled
from catsdogs.data.mixing import Mixing
from catsdogs.data.presets import AugmentationSpec
from catsdogs.data.splits import read_split
from catsdogs.models.modelcard import ModelCard
from catsdogs.training.recipe import Recipe
from catsdogs.workflows.runfolder import RunFolder
from catsdogs.workflows.settings import TrainSettings
from catsdogs.workflows.study import read_features
from catsdogs.workflows.workers import loading_processes


def training_data(
    plan: Mapping[str, Any],
    recipe: Recipe,
    card: ModelCard,
    settings: TrainSettings,
    run: RunFolder,
    *,
    validates: bool = True,
) -> EpochDataModule:
    """Return batches of the training pictures, and of the validation pictures where there are any.

    Args:
        plan: As ``plan.json`` holds it.
        recipe: Batch size and seed.
        card: Classes and preprocessing.
        settings: Of the run.
        run: Split and cached features.
        validates: Whether validation pictures are wanted.
    """
    balanced = settings.data.sampler == "balanced"
    if plan["cached_features"]:
        train = read_features(run.features, "train")
        rows, labels = read_features(run.features, "val")
        return FeatureDataModule(
            train,
            (rows, labels) if validates else (rows[:0], []),
            batch_size=len(train[1]) if recipe.solver.full_batch else recipe.batch_size,
            seed=recipe.seed,
            balanced=balanced,
        )
    records = read_split(run.split)
    pictures = labelled(records, card.class_names, "train")
    return ImageDataModule(
        pictures,
        labelled(records if validates else (), card.class_names, "val"),
        spec=card.preprocess,
        augmentation=Augmentation(card.preprocess, augmentation_of(plan), seed=recipe.seed),
        batch_size=recipe.batch_size,
        workers=loading_processes(settings.data.workers, len(pictures.records)),
        seed=recipe.seed,
        balanced=balanced,
    )


def training_mixing(
    plan: Mapping[str, Any], recipe: Recipe, card: ModelCard, *, until_epoch: int | None = None
) -> Mixing | None:
    """Return what mixes the training batches; None where the plan mixes nothing.

    Args:
        plan: As ``plan.json`` holds it.
        recipe: Epochs and seed.
        card: Classes.
        until_epoch: The first epoch without mixing, in place of the plan's.
    """
    changes = augmentation_of(plan)
    if not changes.mixes:
        return None
    last = recipe.epochs - changes.mixing_off_epochs if until_epoch is None else until_epoch
    return Mixing(changes, classes=len(card.class_names), seed=recipe.seed, until_epoch=last)


def class_weights(recipe: Recipe, data: EpochDataModule, classes: int) -> list[float] | None:
    """Return what makes the classes weigh the same where the loss or the sampler is to; else None."""
    if recipe.loss.class_weights == "none" and not data.balanced:
        return None
    return balanced_weights(data.train_labels, classes)


def augmentation_of(plan: Mapping[str, Any]) -> AugmentationSpec:
    """Return what the plan says about augmentation.

    Raises:
        DataError: It is damaged.
    """
    return AugmentationSpec.from_dict(plan["augmentation"])
