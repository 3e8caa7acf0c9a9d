"""Learning-rate finder: the training's own steps while the rate rises, until the loss breaks away.

Source: Smith 2017, Cyclical Learning Rates, section 3.3. A head that starts from a probe has little left to
learn, so the steepest descent, which other finders look for, may not exist; where the loss breaks away does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

STEPS = 80
_LOWEST, _HIGHEST = 1e-6, 1.0
_SMOOTHING = 0.9
_WARM_STEPS = 8
# The smoothed loss has broken away once it is this far above its lowest value; then a tenth is safe.
_BROKEN = 1.3
_SAFETY = 10.0


@dataclass(frozen=True)
class RateSweep:
    """Losses while the learning rate rose.

    Attributes:
        rates: Of the steps.
        losses: Before each step, as they were.
        smoothed: The same, smoothed.
        found: The rate to train with; None where the loss never broke away.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    found: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def rising_factor(base_rate: float, steps: int) -> Callable[[int], float]:
    """Return the factor on every rate that makes ``base_rate`` rise from 1e-6 to 1 in so many steps."""

    def factor(step: int) -> float:
        rate: float = _LOWEST * (_HIGHEST / _LOWEST) ** (step / max(1, steps - 1))
        return rate / base_rate

    return factor


def find(rates: Sequence[float], losses: Sequence[float]) -> RateSweep:
    """Return a tenth of the rate at which the smoothed loss breaks away.

    >>> find([10.0**-k for k in range(60, 0, -1)], [1.0] * 50 + [5.0] * 10).found < 1e-10
    True
    """
    smoothed: list[float] = []
    average = 0.0
    for step, loss in enumerate(losses, start=1):
        average = _SMOOTHING * average + (1 - _SMOOTHING) * loss
        smoothed.append(average / (1 - _SMOOTHING**step))
    lowest = math.inf
    found = None
    for step, (rate, value) in enumerate(zip(rates, smoothed, strict=True)):
        lowest = min(lowest, value) if step >= _WARM_STEPS else math.inf
        if not math.isfinite(value) or value > _BROKEN * lowest:
            found = rate / _SAFETY
            break
    return RateSweep(tuple(rates), tuple(losses), tuple(smoothed), found)


class LossByRate(Callback):
    """Notes rate and loss of every step, and stops once the loss has broken away for good."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.losses: list[float] = []

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Note the highest rate of this step."""
        self.rates.append(max(float(group["lr"]) for group in trainer.optimizers[0].param_groups))

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note the loss."""
        self.losses.append(float(outputs["loss"]))
        worst = 4 * min(self.losses)
        if not math.isfinite(self.losses[-1]) or min(self.losses[-3:]) > worst > 0:
            trainer.should_stop = True
