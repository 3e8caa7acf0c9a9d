"""Finding a batch size before anything else depends on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from catsdogs.models.backbones import RANDOM, feature_width
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HeadSpec
from catsdogs.reporting.console import progress, say
from catsdogs.training.batchfinder import (
    BatchSearch,
    available_memory,
    fastest_batch,
    largest_batch,
    most_pictures,
    pictures_in_memory,
)
from catsdogs.training.trial import TrainingSpeed, training_step
from catsdogs.transfer.strategies import AUTO, find_strategy
from catsdogs.workflows.sections import FIND, USUAL_BATCH
from catsdogs.workflows.settings import TrainSettings
from catsdogs.workflows.study import Base, open_base


def find_batch_size(
    settings: TrainSettings, class_names: tuple[str, ...], pictures: int
) -> BatchSearch | None:
    """Return the batch size for a network all of whose layers train, the most that any strategy needs.

    Args:
        settings: Of the run.
        class_names: In the order of the labels.
        pictures: To train on.

    Returns:
        None where none is to be found: it was given, no picture goes through the backbone while training, or
        the run is to be deterministic, which a trial is not.
    """
    transfer = settings.transfer
    if transfer.batch_size != FIND:
        return None
    if transfer.strategy != AUTO and not find_strategy(transfer.strategy).trains_backbone:
        return None
    if settings.trainer.get("deterministic"):
        say(f"batch size {USUAL_BATCH}: a deterministic run takes no trial's word")
        return None
    with progress("finding a batch size", None), torch.random.fork_rng():
        base = open_base(settings, class_names, training_pictures=pictures, weights=RANDOM)
        found = _search(_steps(base, str(settings.trainer.get("precision") or "32-true")), base)
    say(f"batch size {found.found}: {found.reason}; the learning rate stays as it is")
    return found


def with_batch_size(settings: TrainSettings, search: BatchSearch | None) -> TrainSettings:
    """Return the settings with the size that was found."""
    if search is None:
        return settings
    return replace(settings, transfer=replace(settings.transfer, batch_size=search.found))


def _steps(base: Base, precision: str) -> Callable[[int], Callable[[], None]]:
    head = build_head(feature_width(base.backbone), len(base.class_names), HeadSpec())
    classifier = ImageClassifier(base.backbone, head, base.spec)
    every = [name for name, _ in base.backbone.named_parameters()]

    def step_of(size: int) -> Callable[[], None]:
        return training_step(
            classifier,
            base.spec,
            TrainingSpeed(precision, channels_last=True),
            trainable=every,
            batch_size=size,
            device=base.execution.device,
        )

    return step_of


def _search(step_of: Callable[[int], Callable[[], None]], base: Base) -> BatchSearch:
    most = most_pictures(base.training_pictures, USUAL_BATCH)
    if base.execution.device == "cuda":
        return largest_batch(step_of, USUAL_BATCH, most)
    memory = available_memory()
    if memory is not None:
        most = min(most, pictures_in_memory(step_of, memory))
    return fastest_batch(step_of, USUAL_BATCH, most)
