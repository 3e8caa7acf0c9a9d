"""Recipe: the numbers of one training run. The parts are sections of the command line as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from catsdogs.core.errors import ConfigError
from catsdogs.core.nesting import nested
from catsdogs.training.solverkinds import SOLVERS, SolverName


# No slots: jsonargparse reads the defaults from __dict__.
@dataclass(frozen=True)
class Solver:
    """How gradients become steps.

    Attributes:
        name: adamw suits all; each has its own factor on the strategy's learning rate, so that the name alone
            will do. lbfgs is for a head alone on cached features; asgd keeps the mean of its later steps.
        weight_decay: Towards zero; biases and normalisation layers do not decay. By default the solver's
            own: 0.01 for adamw, nadam, radam and lamb, as strong for lion and the sgd family, 0 for others.
        momentum: Share of the last step in the next (momentum, nesterov 0.9; rmsprop 0).
        betas: Memory of the mean and of the spread of gradients (adam and its kin, lamb, lion).
        eps: Keeps the smallest spreads from exploding (adam and its kin, lamb, rmsprop, adagrad, adadelta).
    """

    name: SolverName = "adamw"
    weight_decay: float | None = None
    momentum: float | None = None
    betas: tuple[float, float] | None = None
    eps: float | None = None

    def __post_init__(self) -> None:
        """Refuse numbers that no solver can use, and options that this one does not have.

        Raises:
            ConfigError: One of them was given; the message names it.
        """
        _require(
            "solver",
            self,
            weight_decay=(self.weight_decay is None or self.weight_decay >= 0, "0 or more"),
            momentum=(self.momentum is None or 0 < self.momentum < 1, "between 0 and 1"),
            betas=(self.betas is None or all(0 <= beta < 1 for beta in self.betas), "two shares in [0, 1)"),
            eps=(self.eps is None or self.eps > 0, "positive"),
        )
        for name in ("momentum", "betas", "eps"):
            if getattr(self, name) is not None and name not in SOLVERS[self.name].options:
                raise ConfigError(f"{self.name} has no --solver.{name}; leave it out")
        if self.weight_decay and SOLVERS[self.name].weight_decay is None:
            raise ConfigError(f"{self.name} has no --solver.weight_decay; take --loss.l2")

    @property
    def decay(self) -> float:
        """The weight decay, the solver's own where none was given."""
        return (SOLVERS[self.name].weight_decay if self.weight_decay is None else self.weight_decay) or 0.0

    @property
    def options(self) -> dict[str, Any]:
        """Momentum, betas and eps, as far as the solver has them."""
        given = {"momentum": self.momentum, "betas": self.betas and tuple(self.betas), "eps": self.eps}
        own = SOLVERS[self.name].options
        return {name: own[name] if given[name] is None else given[name] for name in own}

    @property
    def rate(self) -> float:
        """The factor on a strategy's learning rate."""
        return SOLVERS[self.name].rate

    @property
    def full_batch(self) -> bool:
        """Whether a step needs all pictures at once."""
        return self.name == "lbfgs"


@dataclass(frozen=True)
class Schedule:
    """How the learning rate changes from step to step.

    Attributes:
        name: 'cosine', half a wave down to zero; 'linear', down to zero; 'step', at once, some times;
            'exponential', as far as 'step' but smoothly; 'one_cycle', up and down while momentum goes down
            and up; 'plateau', down whenever validation stops improving; 'constant'.
        warmup: Share of all steps in which the rate rises; by default 0.1, and 0.3 of one_cycle.
        factor: 'step' and 'plateau' multiply the rate by it.
        drops: How often 'step' does so, at equal distances.
        patience_epochs: 'plateau' waits for so many epochs without a better validation loss.
    """

    name: Literal["constant", "step", "exponential", "linear", "cosine", "one_cycle", "plateau"] = "cosine"
    warmup: float | None = None
    factor: float = 0.1
    drops: int = 2
    patience_epochs: int = 2

    def __post_init__(self) -> None:
        """Refuse numbers that no schedule can use.

        Raises:
            ConfigError: One is out of range; the message names it.
        """
        _require(
            "schedule",
            self,
            warmup=(self.warmup is None or 0 <= self.warmup < 1, "in [0, 1)"),
            factor=(0 < self.factor < 1, "between 0 and 1"),
            drops=(self.drops >= 1, "1 or more"),
            patience_epochs=(self.patience_epochs >= 1, "1 or more"),
        )

    @property
    def warmup_share(self) -> float:
        """The share of the steps in which the rate rises."""
        return (0.3 if self.name == "one_cycle" else 0.1) if self.warmup is None else self.warmup


@dataclass(frozen=True)
class Loss:
    """What training minimises: cross-entropy, and what is added to it.

    Attributes:
        label_smoothing: Share of probability spread over all classes.
        class_weights: 'balanced' lets every class weigh as much, however rare, in validation too; or 'none'.
        l1: This times the sum of the absolute weights is added; norms and biases are left out.
        l2: Half of this times the sum of the squared weights is added. The solver rescales its gradient like
            any other, momentum and all; --solver.weight_decay of adamw acts beside the gradient.
        l2_sp: The same of the distance from the pretrained weights of the backbone, in place of its decay.
    """

    label_smoothing: float = 0.0
    class_weights: Literal["none", "balanced"] = "none"
    l1: float = 0.0
    l2: float = 0.0
    l2_sp: float = 0.0

    def __post_init__(self) -> None:
        """Refuse numbers that no loss can use.

        Raises:
            ConfigError: One is out of range; the message names it.
        """
        penalties = {name: (getattr(self, name) >= 0, "0 or more") for name in ("l1", "l2", "l2_sp")}
        smoothing = (0 <= self.label_smoothing < 1, "in [0, 1)")
        _require("loss", self, label_smoothing=smoothing, **penalties)


@dataclass(frozen=True)
class Averaging:
    """Averages of the weights, which validation, early stopping and the model file then use.

    Attributes:
        kind: 'ema', of all steps, late ones weighing more; 'swa', of the ends of the later epochs; 'soup', of
            the best epochs, as far as validation finds that it helps; or 'none'.
        decay: What is left of ema's memory after each step; by default it spans a tenth of all steps.
        start: Share of the training before swa begins.
        models: How many of the best epochs soup tries.
        interpolation: How far from the start towards these weights those lie that are kept: 1 keeps the
            trained ones, and 'auto' goes by validation. It needs a start that is worth something.
    """

    kind: Literal["none", "ema", "swa", "soup"] = "none"
    decay: float | None = None
    start: float = 0.5
    models: int = 5
    interpolation: float | Literal["auto"] = "auto"

    def __post_init__(self) -> None:
        """Refuse numbers that no average can use.

        Raises:
            ConfigError: One is out of range; the message names it.
        """
        inside = self.interpolation == "auto" or 0 < self.interpolation <= 1
        _require(
            "averaging",
            self,
            decay=(self.decay is None or 0 <= self.decay < 1, "in [0, 1)"),
            start=(0 <= self.start < 1, "in [0, 1)"),
            models=(self.models >= 2, "2 or more"),
            interpolation=(inside, "in (0, 1], or 'auto'"),
        )


@dataclass(frozen=True)
class Distillation:
    """Learning from a trained model as well as from the labels.

    Attributes:
        teacher: Its run or model folder; it knows the same classes. It sees what the network sees, scaled to
            its own input.
        weight: Share of its answers in the loss; the labels have the rest.
        temperature: Softens both answers before they are compared.
        features: Weight of the distance to its features, as a linear map of the network's own gives them.
        maps: The same of its feature maps, position by position, at the strides from 8 that both have.
    """

    teacher: str | None = None
    weight: float = 0.9
    temperature: float = 2.0
    features: float = 1.0
    maps: float = 1.0

    def __post_init__(self) -> None:
        """Refuse numbers that no loss can use, and those without a teacher.

        Raises:
            ConfigError: One of them was given; the message names it.
        """
        _require(
            "distillation",
            self,
            weight=(0 <= self.weight <= 1, "in [0, 1]"),
            temperature=(0 < self.temperature < float("inf"), "positive"),
            features=(0 <= self.features < float("inf"), "0 or more"),
            maps=(0 <= self.maps < float("inf"), "0 or more"),
        )
        for name in ("weight", "temperature", "features", "maps"):
            if self.teacher is None and getattr(self, name) != getattr(Distillation, name):
                raise ConfigError(f"--distillation.{name} needs --distillation.teacher")


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
        averaging: Which weights are validated and kept.
        distillation: Whose answers are learned beside the labels.
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
    averaging: Averaging = field(default_factory=Averaging)
    distillation: Distillation = field(default_factory=Distillation)

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
