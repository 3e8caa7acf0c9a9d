"""Strategies: how much of the backbone to keep, as data. One training loop serves them all."""

from __future__ import annotations

from dataclasses import dataclass

from catsdogs.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Strategy:
    """Where the head starts from, what trains, and for how long unless told otherwise.

    Attributes:
        name: As ``--transfer.strategy`` takes it.
        summary: One line for people.
        head_from_probe: Whether the head starts from logistic regression on the backbone's features
            (linear probe, then fine-tune: Kumar et al. 2022) instead of from random numbers.
        trains_backbone: Whether there are gradient epochs at all.
        frozen_statistics: Whether BatchNorm keeps the statistics it came with. They are those of a million
            photos; a batch of 32 gives worse ones, and different ones on every process.
        epochs: How many.
        learning_rate: At the top of the schedule.
    """

    name: str
    summary: str
    head_from_probe: bool
    trains_backbone: bool
    frozen_statistics: bool = False
    epochs: int = 0
    learning_rate: float = 0.0


STRATEGIES = {
    strategy.name: strategy
    for strategy in (
        Strategy(
            "linear_probe",
            "keep the backbone, fit the head by logistic regression on its features",
            head_from_probe=True,
            trains_backbone=False,
        ),
        Strategy(
            "finetune_full",
            "start from the linear probe's head, then train every layer",
            head_from_probe=True,
            trains_backbone=True,
            frozen_statistics=True,
            epochs=4,
            learning_rate=1e-4,
        ),
        Strategy(
            "from_scratch",
            "train every layer from random numbers: the baseline that transfer must beat",
            head_from_probe=False,
            trains_backbone=True,
            epochs=30,
            learning_rate=2e-3,
        ),
    )
}


def find_strategy(name: str) -> Strategy:
    """Return the strategy of this name.

    Raises:
        ConfigError: There is none; the message names those there are.
    """
    try:
        return STRATEGIES[name]
    except KeyError:
        raise ConfigError(f"strategy {name!r} is not one of {', '.join(STRATEGIES)}") from None
