"""Model soups: the mean of several epochs' weights, as far as validation finds that each of them helps."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from catsdogs.training.task import ClassificationTask


class BestEpochs(Callback):
    """Hands the classifiers of the best epochs to ``save``, and tells ``tidy`` which are still among them.

    Attributes:
        kept: Validation loss and epoch of each, the best first.
    """

    def __init__(
        self,
        models: int,
        save: Callable[[ClassificationTask, int], None],
        tidy: Callable[[Sequence[int]], None],
    ) -> None:
        self._models, self._save, self._tidy = models, save, tidy
        self.kept: list[tuple[float, int]] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Let go of what the last checkpoint does not need any more."""
        if trainer.is_global_zero:
            self._tidy([epoch for _, epoch in self.kept])

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compare and save."""
        loss, epoch = float(trainer.callback_metrics.get("val_loss", math.nan)), trainer.current_epoch
        if not math.isfinite(loss):
            return
        self.kept = sorted([*self.kept, (loss, epoch)])[: self._models]
        if trainer.is_global_zero and (loss, epoch) in self.kept:
            assert isinstance(pl_module, ClassificationTask)
            self._save(pl_module, epoch)

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run must know."""
        return {"kept": [list(one) for one in self.kept]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up where the interrupted run was."""
        self.kept = [(loss, epoch) for loss, epoch in state_dict["kept"]]


def greedy_soup(
    kept: Sequence[tuple[float, int]],
    load: Callable[[int], Mapping[str, Tensor]],
    validate: Callable[[Mapping[str, Tensor]], float],
) -> tuple[dict[str, Tensor], list[int], float]:
    """Return the mean of the weights of those epochs that do not make it worse, those epochs, and its loss.

    What is called an epoch here may be any model by its number.

    Source: Wortsman et al. 2022, Model soups, recipe 1.

    Args:
        kept: Validation loss and epoch of each, the best first.
        load: Epoch -> tensors by name.
        validate: Tensors by name -> validation loss.
    """
    best, first = kept[0]
    soup, epochs = dict(load(first)), [first]
    for _, epoch in kept[1:]:
        candidate = stir(soup, load(epoch), 1 / (len(epochs) + 1))
        loss = validate(candidate)
        if loss <= best:
            soup, best = candidate, loss
            epochs.append(epoch)
    return soup, epochs, best


def mean_of(ingredients: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean of tensors by name, those of the first where they are no floating-point numbers.

    Source: Wortsman et al. 2022, Model soups (the uniform soup).
    """
    soup = dict(ingredients[0])
    for place, added in enumerate(ingredients[1:], start=1):
        soup = stir(soup, added, 1 / (place + 1))
    return soup


def stir(soup: Mapping[str, Tensor], added: Mapping[str, Tensor], weight: float) -> dict[str, Tensor]:
    """Return the soup with so much of what is added: what is equal in both stays, counters are the soup's."""
    return {
        name: torch.lerp(value, added[name], weight) if value.is_floating_point() else value
        for name, value in soup.items()
    }
