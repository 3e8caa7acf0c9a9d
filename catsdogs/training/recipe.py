"""Recipe: the numbers of one training run. The parts are sections of the command line as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from catsdogs.core.errors import ConfigError
from catsdogs.core.nesting import nested


# No slots: jsonargparse reads the defaults from __dict__.
@dataclass(frozen=True)
class Solver:
    """How gradients become steps.

    Attributes:
        name: 'adamw'.
        weight_decay: Towards zero; biases and normalisation layers do not decay.
    """

    name: Literal["adamw"] = "adamw"
    weight_decay: float = 0.01

    def __post_init__(self) -> None:
        """Refuse numbers that no solver can use.

        Raises:
            ConfigError: One is out of range; the message names it.
        """
        _require("solver", self, weight_decay=(self.weight_decay >= 0, "0 or more"))


@dataclass(frozen=True)
class Schedule:
    """How the learning rate changes from step to step.

    Attributes:
        name: 'cosine', half a wave down to zero.
        warmup: Share of all steps in which the rate rises from zero.
    """

    name: Literal["cosine"] = "cosine"
    warmup: float = 0.1

    def __post_init__(self) -> None:
        """Refuse numbers that no schedule can use.

        Raises:
            ConfigError: One is out of range; the message names it.
        """
        _require("schedule", self, warmup=(0 <= self.warmup < 1, "in [0, 1)"))


@dataclass(frozen=True)
class Loss:
    """What training minimises: cross-entropy, and what is added to it.

    Attributes:
        label_smoothing: Share of probability spread over all classes.
    """

    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        """Refuse numbers that no loss can use.

        Raises:
            ConfigError: One is out of range; the message names it.
        """
        _require("loss", self, label_smoothing=(0 <= self.label_smoothing < 1, "in [0, 1)"))


@dataclass(frozen=True, slots=True)
class Recipe:
    """The numbers of one training run.

    Attributes:
        epochs: At most; early stopping may end sooner.
        learning_rate: Of the backbone at the top of the schedule.
        head_rate: The head's learning rate is this times the backbone's.
        layer_decay: Each layer group's rate is this times that of the group above it.
        batch_size: Pictures per step over all processes.
        patience_epochs: Epochs without a better validation loss before the run stops; 0 never stops.
        seed: Of order, augmentation and dropout.
        solver: How gradients become steps.
        schedule: How the learning rate changes.
        loss: What is minimised.
    """

    epochs: int
    learning_rate: float
    head_rate: float
    layer_decay: float
    batch_size: int
    patience_epochs: int
    seed: int
    solver: Solver = field(default_factory=Solver)
    schedule: Schedule = field(default_factory=Schedule)
    loss: Loss = field(default_factory=Loss)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """Build the recipe from the plain values of ``to_dict``."""
        return nested(cls, values)


def _require(section: str, owner: object, **checks: tuple[bool, str]) -> None:
    for name, (holds, wanted) in checks.items():
        if not holds:
            raise ConfigError(f"--{section}.{name} must be {wanted}, not {getattr(owner, name)}")
