"""Strategies: how much of the backbone to keep, as data. One training loop serves them all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Any, Literal

from catsdogs.core.errors import ConfigError, DataError

AUTO = "auto"
# A head that trains alone on random or fixed features takes larger steps than the layers under it will.
_HEAD_ONLY_RATE = 10.0
_LEAST_STEPS = 120
_MOST_EPOCHS = 20

Trains = Literal["head", "last", "first", "all", "gradual", "norm_and_bias"]


@dataclass(frozen=True, slots=True)
class Phase:
    """Epochs in which the same parameters train.

    Attributes:
        epochs: How many.
        groups: Numbers of the layer groups that train beside the head; 0 is next to the pixels.
        norm_and_bias: Of these groups, only normalisation layers and biases.
        rate: Factor on every learning rate.
        restart: Whether the schedule starts again, with warm-up, at the phase's first step.
    """

    epochs: int
    groups: tuple[int, ...]
    norm_and_bias: bool = False
    rate: float = 1.0
    restart: bool = False


@dataclass(frozen=True, slots=True)
class FreezePlan:
    """What trains in which epoch: a pure function of the epoch, so resuming needs no memory.

    Attributes:
        phases: One after the other; at least one.
    """

    phases: tuple[Phase, ...]

    @property
    def epochs(self) -> int:
        """Of all phases together."""
        return sum(phase.epochs for phase in self.phases)

    @property
    def starts(self) -> tuple[int, ...]:
        """The first epoch of each phase."""
        return tuple(accumulate((phase.epochs for phase in self.phases[:-1]), initial=0))

    def phase_at(self, epoch: int) -> Phase:
        """Return the phase of an epoch, from 0; epochs beyond the end belong to the last."""
        return self.phases[max(i for i, start in enumerate(self.starts) if start <= max(0, epoch))]

    def cycle_at(self, epoch: int) -> tuple[int, int]:
        """Return the first epoch and the end of the schedule's cycle that an epoch lies in."""
        begins = [
            start
            for start, phase in zip(self.starts, self.phases, strict=True)
            if phase.restart or start == 0
        ]
        first = max(start for start in begins if start <= max(0, epoch))
        return first, min((start for start in begins if start > first), default=self.epochs)

    def to_list(self) -> list[dict[str, Any]]:
        """Return plain values for JSON."""
        return [asdict(phase) for phase in self.phases]

    @classmethod
    def from_list(cls, values: Sequence[Mapping[str, Any]]) -> FreezePlan:
        """Build the plan from the plain values of ``to_list``.

        Raises:
            DataError: They are damaged.
        """
        try:
            phases = tuple(Phase(**{**one, "groups": tuple(one["groups"])}) for one in values)
        except (KeyError, TypeError) as error:
            raise DataError(f"the plan's phases are damaged: {error}") from error
        if not phases:
            raise DataError("the plan has no phases")
        return cls(phases)


@dataclass(frozen=True, slots=True)
class Strategy:
    """Where the head sits and starts from, what trains, and for how long unless told otherwise.

    Attributes:
        name: As ``--transfer.strategy`` takes it.
        summary: One line for people.
        head: Where it starts from: ``linear`` (logistic regression on frozen features; linear probe, then
            fine-tune: Kumar et al. 2022), ``svm``, or ``random`` numbers.
        best_stage: Whether the head sits on the stage with the best probe instead of on the top.
        trains: Which layer groups train beside the head; ``head`` alone needs gradient epochs only where it
            has a hidden layer, and they run on cached features.
        pretrained: Whether the backbone keeps its weights.
        frozen_statistics: Whether BatchNorm keeps the statistics it came with. They are those of a million
            photos; a batch of 32 gives worse ones, and different ones on every process.
        epochs: For a few thousand pictures; fewer pictures are seen more often.
        learning_rate: At the top of the schedule.
    """

    name: str
    summary: str
    head: Literal["linear", "svm", "random"] = "linear"
    best_stage: bool = False
    trains: Trains = "head"
    pretrained: bool = True
    frozen_statistics: bool = True
    epochs: int = 0
    learning_rate: float = 0.0

    @property
    def trains_backbone(self) -> bool:
        """Whether pictures must go through the backbone in every epoch."""
        return self.trains != "head"

    def epochs_for(self, pictures: int, batch_size: int) -> int:
        """Return the passes over this many training pictures: enough steps, and not too many passes."""
        steps = max(1, pictures // batch_size)
        return max(self.epochs, min(math.ceil(_LEAST_STEPS / steps), _MOST_EPOCHS))


STRATEGIES = {
    strategy.name: strategy
    for strategy in (
        Strategy(
            "linear_probe",
            "keep the backbone, fit the head by logistic regression on its features",
            epochs=30,
            learning_rate=1e-3,
        ),
        Strategy(
            "stage_probe",
            "keep the lower stages, fit the head by logistic regression on their features",
            best_stage=True,
            epochs=30,
            learning_rate=1e-3,
        ),
        Strategy(
            "svm_probe",
            "keep the backbone up to the best stage, put a support vector machine on it",
            head="svm",
            best_stage=True,
        ),
        Strategy(
            "finetune_top",
            "start from the linear probe's head, then train the last layer groups",
            trains="last",
            epochs=4,
            learning_rate=2e-4,
        ),
        Strategy(
            "surgical",
            "start from the linear probe's head, then train the first layer groups (Lee et al. 2022)",
            trains="first",
            epochs=4,
            learning_rate=2e-4,
        ),
        Strategy(
            "finetune_full",
            "start from the linear probe's head, then train every layer",
            trains="all",
            epochs=4,
            learning_rate=1e-4,
        ),
        Strategy(
            "gradual",
            "start from the linear probe's head, then unfreeze from the top downwards",
            trains="gradual",
            epochs=6,
            learning_rate=1e-4,
        ),
        Strategy(
            "norm_and_bias",
            "start from the linear probe's head, then train normalisation layers and biases only",
            trains="norm_and_bias",
            epochs=4,
            learning_rate=1e-3,
        ),
        Strategy(
            "from_scratch",
            "train every layer from random numbers: the baseline that transfer must beat",
            head="random",
            trains="all",
            pretrained=False,
            frozen_statistics=False,
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
        raise ConfigError(f"strategy {name!r} is not one of {', '.join([AUTO, *STRATEGIES])}") from None


def freeze_plan(
    strategy: Strategy,
    groups: int,
    *,
    epochs: int,
    count: int = 2,
    epochs_per_stage: int = 1,
    frozen_epochs: int = 0,
) -> FreezePlan:
    """Return which of a backbone's layer groups train when.

    Args:
        strategy: Whose plan.
        groups: How many the backbone has.
        epochs: Of training after the frozen ones.
        count: Groups that ``last`` and ``first`` train.
        epochs_per_stage: Epochs before ``gradual`` unfreezes more.
        frozen_epochs: Epochs before them in which the head trains alone, at a higher rate.

    Raises:
        ConfigError: The count is not one that this backbone has.
    """
    if strategy.trains in ("last", "first") and not 1 <= count <= groups:
        raise ConfigError(f"--transfer.layer_groups must be from 1 to {groups} here, not {count}")
    everything = tuple(range(groups))
    parts = {
        "last": everything[-count:],
        "first": everything[:count],
    }
    if strategy.trains == "head":
        return FreezePlan((Phase(epochs, ()),))
    if strategy.trains == "gradual":
        phases = _unfreezing(groups, epochs, epochs_per_stage)
    else:
        norm_and_bias = strategy.trains == "norm_and_bias"
        phases = [Phase(epochs, parts.get(strategy.trains, everything), norm_and_bias)]
    if frozen_epochs:
        first = phases[0]
        restarted = Phase(first.epochs, first.groups, first.norm_and_bias, restart=True)
        phases = [Phase(frozen_epochs, (), rate=_HEAD_ONLY_RATE), restarted, *phases[1:]]
    return FreezePlan(tuple(phases))


def _unfreezing(groups: int, epochs: int, epochs_per_stage: int) -> list[Phase]:
    """Unfreeze from the top; where there are fewer phases than groups, several groups at a time."""
    count = max(1, min(groups, epochs // epochs_per_stage))
    phases = []
    for number in range(count):
        lowest = groups - round(groups * (number + 1) / count)
        last = number == count - 1
        length = epochs - epochs_per_stage * (count - 1) if last else epochs_per_stage
        phases.append(Phase(length, tuple(range(lowest, groups))))
    return phases
