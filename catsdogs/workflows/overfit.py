"""Overfit: whether a strategy can learn one small batch by heart; nothing else is trained."""

from __future__ import annotations

import math
import random
import tempfile
from dataclasses import replace
from itertools import chain, zip_longest
from pathlib import Path

import torch
from torch import Tensor

from catsdogs.core.errors import ConfigError, DataError, OutputError
from catsdogs.core.files import write_json
from catsdogs.core.records import ImageRecord
from catsdogs.data.datamodule import FeatureDataModule
from catsdogs.data.layouts import DataLayout, labels_of
from catsdogs.data.stream import batches
from catsdogs.data.views import VIEWS
from catsdogs.models.backbones import RANDOM
from catsdogs.models.layergroups import layer_groups
from catsdogs.reporting.console import say
from catsdogs.reporting.figures import save_figure
from catsdogs.reporting.sparkline import sparkline
from catsdogs.reporting.watchfigures import draw_overfit
from catsdogs.training.freezing import freeze_for_wrapping
from catsdogs.training.layerstatistics import training_tensors
from catsdogs.training.overfitting import MOST_STEPS, Overfit, UntilNearZero
from catsdogs.training.recipe import Loss, Recipe
from catsdogs.training.task import ClassificationTask
from catsdogs.training.trainer import build_trainer, quiet
from catsdogs.transfer.strategies import AUTO, FreezePlan, Phase, Strategy, find_strategy
from catsdogs.workflows.prepare import corrections_of, find_pictures_to_learn
from catsdogs.workflows.settings import TrainSettings
from catsdogs.workflows.start import Start, assemble
from catsdogs.workflows.study import open_base
from catsdogs.workflows.workers import decoding_workers

PICTURES = 16
_AUTO_TAKES = "finetune_full"


def check_overfit(settings: TrainSettings, folder: Path | None) -> bool:
    """Let a strategy learn one batch by heart from a fresh head, say whether it could, and draw the loss.

    The layers are those of the plan's last phase; the rate is constant; there is no augmentation, dropout,
    weight decay or smoothing.

    Args:
        settings: Of the run that is to be checked.
        folder: Where ``overfit.json`` and ``overfit.png`` go; None writes nothing.

    Returns:
        Whether the loss came near zero.

    Raises:
        UserError: The pictures, the backbone, the settings or the folder do not allow it.
    """
    strategy = _strategy(settings)
    if folder is not None and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder} exists already; choose another --run for the check")
    layout = find_pictures_to_learn(settings)
    layout = replace(layout, records=corrections_of(settings, layout).apply(layout.records))
    start = _start(strategy, layout, settings)
    pictures = _one_batch(layout, start, settings)
    found = _learn(strategy, start, pictures, settings)
    _tell(found)
    if folder is not None:
        write_json(folder / "overfit.json", found.to_dict())
        save_figure(draw_overfit(found.losses, math.log(found.classes)), folder / "overfit.png")
        say(f"drawn in {folder / 'overfit.png'}")
    return found.succeeded


def _strategy(settings: TrainSettings) -> Strategy:
    """Return what is to be checked.

    Raises:
        ConfigError: It takes no gradient steps.
    """
    name = settings.transfer.strategy
    if name == AUTO:
        say(f"auto would measure first; the check takes {_AUTO_TAKES}, which trains every layer")
        name = _AUTO_TAKES
    strategy = find_strategy(name)
    if not strategy.trains_backbone and settings.model.head != "mlp":
        raise ConfigError(f"{name} fits its head without gradient steps: there is nothing to overfit")
    return strategy


def _start(strategy: Strategy, layout: DataLayout, settings: TrainSettings) -> Start:
    """Return the strategy's network with a fresh head, in which nothing is dropped."""
    calm = replace(settings, model=replace(settings.model, dropout=0.0, stochastic_depth=0.0))
    weights = settings.model.weights if strategy.pretrained else RANDOM
    base = open_base(calm, layout.class_names, training_pictures=len(layout.records), weights=weights)
    return assemble(strategy, base, None, calm, timed=False)


def _one_batch(layout: DataLayout, start: Start, settings: TrainSettings) -> tuple[Tensor, list[int]]:
    """Return a few training pictures uint8 (B, H, W, 3), as many of each class, and their classes."""
    records = _mixed(layout, settings.seed)
    workers = decoding_workers(settings.data.workers)
    spec = start.card.preprocess
    for batch in batches(records, spec=spec, views=VIEWS["none"], batch_size=PICTURES, workers=workers):
        labels = labels_of([batch.records[number] for number in batch.good], layout.class_names)
        if len(set(labels)) > 1:
            return torch.from_numpy(batch.pixels[:, 0]), [int(label) for label in labels]
    raise DataError("there are no readable pictures of two classes to learn by heart")


def _mixed(layout: DataLayout, seed: int) -> list[ImageRecord]:
    """Return the training pictures in an order in which the classes take turns."""
    chance = random.Random(seed)  # noqa: S311
    wanted = [record for record in layout.records if record.split in (None, "train")]
    classes = [[record for record in wanted if record.label == name] for name in layout.class_names]
    for records in classes:
        chance.shuffle(records)
    return [record for record in chain.from_iterable(zip_longest(*classes)) if record is not None]


def _learn(
    strategy: Strategy, start: Start, pictures: tuple[Tensor, list[int]], settings: TrainSettings
) -> Overfit:
    """Train on the one batch with the task and the Trainer of every run."""
    classifier = start.classifier
    groups = layer_groups(classifier.backbone)
    last = FreezePlan.from_list(start.plan["freeze_plan"]).phases[-1]
    plan = FreezePlan((Phase(MOST_STEPS, last.groups, last.norm_and_bias),))
    recipe = _plain(Recipe.from_dict(start.plan["recipe"]), len(pictures[1]))
    data = FeatureDataModule(pictures, (pictures[0][:0], []), batch_size=recipe.batch_size, seed=recipe.seed)
    log = UntilNearZero(len(start.card.class_names))
    freeze_for_wrapping(classifier, groups, plan)
    classifier.set_channels_last(True)
    training = training_tensors(classifier, groups)
    say(
        f"overfit: {strategy.name} trains {sum(map(len, training.values()))} of "
        f"{sum(1 for _ in classifier.parameters())} tensors, in {', '.join(training)}"
    )
    task = ClassificationTask(
        classifier, recipe, groups=groups, plan=plan, batches_per_epoch=1, factor=lambda _: 1.0
    )
    with tempfile.TemporaryDirectory() as folder, quiet():
        trainer = build_trainer(
            {**settings.trainer, "devices": 1, "logger": False},
            epochs=MOST_STEPS,
            precision="32-true",
            folder=folder,
            callbacks=[log],
            alone=True,
        )
        trainer.fit(task, datamodule=data)
    return Overfit(tuple(log.losses), len(pictures[1]), len(start.card.class_names))


def _plain(recipe: Recipe, pictures: int) -> Recipe:
    """Return the recipe without what keeps a network from learning by heart."""
    return replace(
        recipe,
        epochs=MOST_STEPS,
        batch_size=pictures,
        loss=Loss(),
        solver=replace(recipe.solver, weight_decay=0.0),
    )


def _tell(found: Overfit) -> None:
    curve = f"loss {found.losses[0]:.3f} {sparkline(found.losses)} {found.losses[-1]:.4f}"
    say(f"overfit: {curve} in {len(found.losses)} steps on {found.pictures} pictures")
    if found.succeeded:
        say("overfit: yes, it learns a batch by heart")
    else:
        say(
            "overfit: no, the loss does not come near zero (guessing has "
            f"{math.log(found.classes):.3f}): look at the labels, the rate and what is frozen"
        )
