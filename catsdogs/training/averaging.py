"""Averages of the weights over steps or epochs, which validation and the model file use in their place.

Lightning's WeightAveraging is not used: it validates the start weights before there is an average, takes up
an epoch only after that epoch's validation, and begins on the processor although the network trains on a GPU.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from catsdogs.models.classifier import ImageClassifier
from catsdogs.training.recipe import Recipe
from catsdogs.training.task import ClassificationTask

_EMA_MEMORY = 0.1


def exponential(decay: float) -> Callable[[int], float]:
    """Return the weight of the newcomer in an exponential average of so many before it.

    The average is ``sum decay**(t - i) w_i / sum decay**(t - i)`` from its first step on: no start value
    lingers in it (the bias correction of Kingma & Ba 2015, section 3).
    """
    return lambda before: (1 - decay) / (1 - decay ** (before + 1))


def equal(before: int) -> float:
    """Return the weight of the newcomer in the mean (Izmailov et al. 2018, SWA; Polyak & Juditsky 1992)."""
    return 1 / (before + 1)


class AverageWeights(Callback):
    """Keeps an average of a classifier's tensors, and puts it in their place while validation runs.

    Parameters and buffers are averaged alike: running means and variances of weights that lie close together
    do too, and a frozen tensor is its own average to the last bit. Counters are those of the last step.

    Args:
        kind: ``ema``, ``swa``, or ``asgd``, the mean of the later steps.
        decay: Of ``ema``; by default its memory spans a tenth of all steps.
        start: Share of the training before the others begin.
    """

    def __init__(self, kind: str, *, decay: float | None = None, start: float = 0.0) -> None:
        self._kind, self._decay, self._start = kind, decay, start
        self._weigh: Callable[[int], float] = equal
        self._first_step = 0
        self._seen_steps = 0
        self._count = 0
        self._average: dict[str, Tensor] = {}
        self._aside: dict[str, Tensor] = {}

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Find out how many steps there will be; move what a checkpoint held to where the network is."""
        assert isinstance(pl_module, ClassificationTask)
        steps = (trainer.max_epochs or 1) * pl_module.steps_per_epoch()
        steps = min(steps, trainer.max_steps) if trainer.max_steps > 0 else steps
        if self._kind == "ema":
            self._weigh = exponential(
                max(0.0, 1 - 1 / (_EMA_MEMORY * steps)) if self._decay is None else self._decay
            )
        else:
            self._first_step = min(math.floor(self._start * steps), steps - 1)
        self._average = {name: value.to(pl_module.device) for name, value in self._average.items()}

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Take up the weights after a step that counts."""
        stepped = trainer.global_step > self._seen_steps
        self._seen_steps = trainer.global_step
        wanted = trainer.is_last_batch if self._kind == "swa" else stepped
        if wanted and trainer.global_step > self._first_step:
            self._take_up(pl_module.classifier)  # type: ignore[arg-type]

    @torch.no_grad()
    def _take_up(self, classifier: ImageClassifier) -> None:
        now = classifier.state_dict()
        if not self._average:
            self._average = {name: value.clone() for name, value in now.items()}
        else:
            floats = [name for name, value in now.items() if value.is_floating_point()]
            blend = get_ema_multi_avg_fn(1 - self._weigh(self._count))  # type: ignore[no-untyped-call]
            blend([self._average[name] for name in floats], [now[name] for name in floats], None)
            for name in now.keys() - set(floats):
                self._average[name].copy_(now[name])
        self._count += 1

    @contextlib.contextmanager
    def in_place(self, classifier: ImageClassifier) -> Iterator[None]:
        """Let the classifier be the average for a while; without one yet it stays as it is."""
        self._swap_in(classifier)
        try:
            yield
        finally:
            self._swap_out(classifier)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Validate the average."""
        self._swap_in(pl_module.classifier)  # type: ignore[arg-type]

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Train on with the weights themselves."""
        self._swap_out(pl_module.classifier)  # type: ignore[arg-type]

    def _swap_in(self, classifier: ImageClassifier) -> None:
        self._aside = {
            name: value.clone() for name, value in classifier.state_dict().items() if self._average
        }
        _overwrite(classifier, self._average)

    def _swap_out(self, classifier: ImageClassifier) -> None:
        _overwrite(classifier, self._aside)
        self._aside = {}

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run must know."""
        return {"average": self._average, "count": self._count, "seen_steps": self._seen_steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up where the interrupted run was."""
        self._average, self._count = dict(state_dict["average"]), state_dict["count"]
        self._seen_steps = state_dict["seen_steps"]


@torch.no_grad()
def _overwrite(classifier: ImageClassifier, values: dict[str, Tensor]) -> None:
    tensors = classifier.state_dict()
    for name, value in values.items():
        tensors[name].copy_(value)


def averaging_for(recipe: Recipe) -> AverageWeights | None:
    """Return what keeps the average that a recipe asks for step by step; None where there is none."""
    averaging = recipe.averaging
    if averaging.kind in ("ema", "swa"):
        return AverageWeights(averaging.kind, decay=averaging.decay, start=averaging.start)
    if recipe.solver.name == "asgd" and averaging.kind == "none":
        return AverageWeights("asgd", start=averaging.start)
    return None
