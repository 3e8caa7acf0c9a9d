"""Soup: after the last epoch, the best epochs' weights together, where validation says they are no worse."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from catsdogs.data.datamodule import EpochDataModule
from catsdogs.models.modelcard import ModelCard
from catsdogs.models.modelfile import load_model, save_model
from catsdogs.training.soup import BestEpochs, greedy_soup
from catsdogs.training.task import ClassificationTask
from catsdogs.training.trainer import quiet
from catsdogs.workflows.runfolder import RunFolder


def ingredients(models: int, card: ModelCard, run: RunFolder) -> BestEpochs:
    """Return the callback that keeps the best epochs' models in the run folder."""

    def save(task: ClassificationTask, epoch: int) -> None:
        save_model(run.soup / str(epoch), task.classifier, card)

    def tidy(kept: Sequence[int]) -> None:
        for folder in run.soup.iterdir() if run.soup.is_dir() else ():
            if folder.name not in map(str, kept):
                shutil.rmtree(folder)

    return BestEpochs(models, save, tidy)


def cook(
    best: BestEpochs,
    trainer: Any,
    task: ClassificationTask,
    data: EpochDataModule,
    card: ModelCard,
    run: RunFolder,
    say: Callable[[str], None],
) -> None:
    """Put the soup in the place of the best epoch's model, where more than one epoch went into it.

    Every process validates; the first one writes. Doing it again, after a kill, gives the same.
    """
    if not run.soup.is_dir() or not best.kept:
        return

    def load(epoch: int) -> Mapping[str, Tensor]:
        return load_model(run.soup / str(epoch))[0].state_dict()

    def validate(tensors: Mapping[str, Tensor]) -> float:
        task.classifier.load_state_dict(tensors)
        with quiet():
            return float(trainer.validate(task, datamodule=data, verbose=False)[0]["val_loss"])

    soup, epochs, loss = greedy_soup(best.kept, load, validate)
    if not trainer.is_global_zero:
        return
    if len(epochs) > 1:
        task.classifier.load_state_dict(soup)
        training = {**card.training, "epoch": epochs[0], "soup": epochs}
        save_model(run.model, task.classifier, replace(card, training=training))
        names = ", ".join(str(epoch + 1) for epoch in sorted(epochs))
        say(f"soup of epochs {names}: val loss {loss:.4f}, of the best epoch alone {best.kept[0][0]:.4f}")
    else:
        say(f"no soup: with any other epoch the val loss is above {loss:.4f}, of epoch {epochs[0] + 1} alone")
    shutil.rmtree(run.soup)
