"""Watch: statistics of every layer group from a few steps of each epoch."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.optim import Optimizer

from catsdogs.core.metricsfile import WATCHED, write_epoch
from catsdogs.models.layergroups import LayerGroup
from catsdogs.training.layerstatistics import (
    HEAD,
    FiringCounter,
    Units,
    gradient_norms,
    snapshot,
    training_tensors,
    update_ratios,
)
from catsdogs.training.layerwords import group_words, unit_words

# A step that is looked at costs up to a sixth more: one in eight of them keeps it under 3 % of an epoch.
_MOST_STEPS = 4
_ONE_IN = 8


class WatchLayers(Callback):
    """Looks at a few steps of each epoch; writes ``watch.csv`` and says, once each, what is wrong.

    Only the first process looks. Nothing that it does changes a number of the training.

    Args:
        path: Of the table.
        groups: The backbone's layer groups.
        say: Tells people.
    """

    def __init__(self, path: Path, groups: Sequence[LayerGroup], say: Callable[[str], None]) -> None:
        self._path, self._groups, self._say = path, groups, say
        self._counter: FiringCounter | None = None
        self._gradients: list[dict[str, Tensor]] = []
        self._updates: list[dict[str, Tensor]] = []
        self._before: dict[str, list[Tensor]] | None = None
        self._looking = False
        self._said: set[str] = set()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Choose the steps, and find out what trains."""
        self._steps = frozenset(sampled_steps(int(trainer.num_training_batches), trainer.is_global_zero))
        self._gradients, self._updates, self._before, self._looking = [], [], None, False
        if trainer.is_global_zero:
            classifier: Any = pl_module.classifier
            self._counter = self._counter or FiringCounter(classifier, self._groups)
            self._tensors = training_tensors(classifier, self._groups)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Look at this step if it is one of those."""
        if batch_idx in self._steps and self._counter is not None:
            self._looking = True
            self._counter.attach()

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        """The outputs have been seen."""
        if self._counter is not None:
            self._counter.detach()

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Measure the gradients, and keep the weights; several batches may have led here."""
        if self._looking and self._before is None:
            self._gradients.append(gradient_norms(self._tensors))
            self._before = snapshot(self._tensors)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Measure the step, once it has been made."""
        if self._before is not None:
            self._updates.append(update_ratios(self._before, self._tensors))
            self._before, self._looking = None, False

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the epoch's rows and say what is wrong."""
        if self._counter is None:
            return
        units = self._counter.take()
        gradients, updates = _medians(self._gradients), _medians(self._updates)
        names = [*(group.name for group in self._groups), HEAD]
        rows = [_row(trainer.current_epoch, name, gradients, updates, units) for name in names]
        write_epoch(self._path, WATCHED, trainer.current_epoch, rows)
        words = [*unit_words(units, frozenset(self._tensors)), *group_words(gradients, updates)]
        for key, sentence in words:
            if key not in self._said:
                self._said.add(key)
                self._say(f"warning: epoch {trainer.current_epoch + 1}: {sentence}")


def sampled_steps(batches: int, first_process: bool = True) -> Iterable[int]:
    """Return the batches of an epoch to look at, evenly spread.

    >>> list(sampled_steps(44))
    [5, 16, 27, 38]
    """
    count = min(_MOST_STEPS, max(1, batches // _ONE_IN)) if first_process else 0
    return [int((number + 0.5) * batches / count) for number in range(count)]


def _medians(samples: Sequence[dict[str, Tensor]]) -> dict[str, float]:
    names = dict.fromkeys(name for sample in samples for name in sample)
    return {
        name: statistics.median(float(sample[name]) for sample in samples if name in sample) for name in names
    }


def _row(
    epoch: int, group: str, gradients: dict[str, float], updates: dict[str, float], units: Sequence[Units]
) -> dict[str, Any]:
    inside = [layer for layer in units if layer.group == group]
    return {
        "epoch": epoch,
        "group": group,
        "gradient_norm": _digits(gradients.get(group)),
        "update_ratio": _digits(updates.get(group)),
        "dead_share": _digits(_share(inside, "dead")),
        "saturated_share": _digits(_share(inside, "saturated")),
    }


def _share(units: Sequence[Units], what: str) -> float | None:
    counted = [layer for layer in units if getattr(layer, what) is not None]
    total = sum(layer.count for layer in counted)
    return sum(getattr(layer, what) for layer in counted) / total if total else None


def _digits(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
