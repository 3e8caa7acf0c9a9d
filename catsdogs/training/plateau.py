"""The plateau schedule: lower rates once validation has stopped improving."""

from __future__ import annotations

import math
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from catsdogs.training.recipe import Schedule
from catsdogs.transfer.strategies import FreezePlan


class DropOnPlateau(Callback):
    """Multiplies every rate whenever the validation loss has not improved for some epochs.

    It acts on the base rates of the step-by-step schedule, so that warm-up, phases and the layer groups' own
    rates stay as they are, and all that must be remembered is in the checkpoint. Each cycle of the plan
    begins with the full rates; epochs that still warm up do not count.
    """

    def __init__(self, schedule: Schedule, plan: FreezePlan) -> None:
        self._schedule, self._plan = schedule, plan
        self._best, self._waited = math.inf, 0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin a cycle with the full rates."""
        epoch = trainer.current_epoch
        if epoch and self._plan.cycle_at(epoch)[0] == epoch:
            self._best, self._waited = math.inf, 0
            _set_rates(trainer, [group["initial_lr"] for group in trainer.optimizers[0].param_groups])

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compare with the best so far; drop the rates where it has been too long ago."""
        if trainer.state.fn != "fit" or not self._counts(trainer.current_epoch):
            return
        loss = float(trainer.callback_metrics["val_loss"])
        if loss < self._best:
            self._best, self._waited = loss, 0
            return
        self._waited += 1
        if self._waited >= self._schedule.patience_epochs:
            self._waited = 0
            scheduler: Any = trainer.lr_scheduler_configs[0].scheduler
            _set_rates(trainer, [rate * self._schedule.factor for rate in scheduler.base_lrs])

    def _counts(self, epoch: int) -> bool:
        first, end = self._plan.cycle_at(epoch)
        return epoch + 1 > first + self._schedule.warmup_share * (end - first)

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run must know; the rates are in the schedule's own state."""
        return {"best": self._best, "waited": self._waited}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up where the interrupted run was."""
        self._best, self._waited = state_dict["best"], state_dict["waited"]


def _set_rates(trainer: pl.Trainer, base_rates: list[float]) -> None:
    """Give the schedule other base rates, and the coming step the rate that follows from them."""
    scheduler: Any = trainer.lr_scheduler_configs[0].scheduler
    scheduler.base_lrs = base_rates
    groups = trainer.optimizers[0].param_groups
    for group, rate, factor in zip(groups, base_rates, scheduler.lr_lambdas, strict=True):
        group["lr"] = rate * factor(scheduler.last_epoch)
