"""The search space, as data: what may vary, how, and for which strategies it matters at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from catsdogs.core.errors import ConfigError
from catsdogs.data.presets import PRESETS
from catsdogs.training.solverkinds import SOLVERS
from catsdogs.transfer.strategies import AUTO, Strategy, find_strategy
from catsdogs.workflows.settings import TrainSettings

# The quickest first: a short search tries them at least.
STRATEGIES_TRIED = (
    "linear_probe",
    "stage_probe",
    "svm_probe",
    "finetune_top",
    "norm_and_bias",
    "finetune_full",
)
_DIGITS = 3


class Suggestions(Protocol):
    """What draws values; Optuna's trials do."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return one of the choices."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Return a number between the limits."""


@dataclass(frozen=True)
class Dimension:
    """One thing that may vary.

    Attributes:
        section: Of ``TrainSettings``.
        option: In that section.
        matters: Whether it changes anything, for a strategy and the settings so far.
        choices: What it may be; or it is a number between ``low`` and ``high``.
        low: At least.
        high: At most.
        log: Whether numbers are drawn on a logarithmic scale.
        factor: What the number is a factor on; 1 where it is the value itself.
        usual: What is drawn first.
    """

    section: str
    option: str
    matters: Callable[[Strategy, TrainSettings], bool]
    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    factor: Callable[[Strategy, TrainSettings], float] = lambda _, __: 1.0
    usual: str | float | None = None

    @property
    def name(self) -> str:
        """Of the option, with its section."""
        return f"{self.section}.{self.option}"

    def is_free(self, settings: TrainSettings) -> bool:
        """Say whether nobody has set it; all of a section of augmentation is one."""
        default, given = getattr(TrainSettings(), self.section), getattr(settings, self.section)
        if self.section == "augmentation":
            return bool(default == given)
        return bool(getattr(default, self.option) == getattr(given, self.option))


def _gradients(strategy: Strategy, settings: TrainSettings) -> bool:
    """Say whether anything learns by gradients: a linear head and an SVM are fitted without."""
    return strategy.trains_backbone or settings.model.head == "mlp"


def _steps(strategy: Strategy, settings: TrainSettings) -> bool:
    """Say whether it learns from batches: a line search finds its own rate, and takes no dropout."""
    return _gradients(strategy, settings) and not settings.solver.full_batch


def _decays(strategy: Strategy, settings: TrainSettings) -> bool:
    return _gradients(strategy, settings) and SOLVERS[settings.solver.name].weight_decay is not None


def _on_features(strategy: Strategy, _: TrainSettings) -> bool:
    return not strategy.trains_backbone and strategy.head == "linear"


def _backbone(strategy: Strategy, _: TrainSettings) -> bool:
    return strategy.trains_backbone


def _usual_rate(strategy: Strategy, settings: TrainSettings) -> float:
    return strategy.learning_rate * settings.solver.rate


# In the order in which they are drawn: what comes later may depend on what came before.
DIMENSIONS = {
    "strategy": Dimension("transfer", "strategy", lambda _, __: True),
    "head": Dimension("model", "head", _on_features, ("linear", "mlp"), usual="linear"),
    # A tenth to ten times the strategy's own rate.
    "learning_rate": Dimension(
        "transfer", "learning_rate", _steps, low=0.1, high=10.0, log=True, factor=_usual_rate, usual=1.0
    ),
    "weight_decay": Dimension("solver", "weight_decay", _decays, low=1e-4, high=0.1, log=True, usual=0.01),
    "dropout": Dimension("model", "dropout", _steps, low=0.0, high=0.5, usual=0.0),
    "augmentation": Dimension("augmentation", "preset", _backbone, tuple(PRESETS), usual="light"),
    "label_smoothing": Dimension("loss", "label_smoothing", _gradients, low=0.0, high=0.2, usual=0.0),
    "layer_decay": Dimension("transfer", "layer_decay", _backbone, low=0.5, high=1.0, usual=1.0),
}


@dataclass(frozen=True)
class SearchSpace:
    """What one search may change.

    Attributes:
        settings: As they were given.
        names: Of the dimensions, in the order of ``DIMENSIONS``.
        strategies: That it tries; one where the strategy is not searched.
    """

    settings: TrainSettings
    names: tuple[str, ...]
    strategies: tuple[str, ...]

    @property
    def usual(self) -> list[dict[str, Any]]:
        """What is drawn first: each strategy with its usual numbers, the quickest ones before the others.

        None where only one strategy is tried: the settings as given are that.
        """
        numbers = {name: DIMENSIONS[name].usual for name in self.names}
        several = self.strategies if len(self.strategies) > 1 else ()
        return [{**numbers, "strategy": name} for name in several]

    def draw(self, suggestions: Suggestions) -> TrainSettings:
        """Return the settings of one trial.

        Raises:
            ConfigError: What was drawn does not go with what was given.
        """
        name = self.strategies[0]
        if len(self.strategies) > 1:
            name = suggestions.suggest_categorical("strategy", self.strategies)
        strategy = find_strategy(name)
        settings = _with(self.settings, DIMENSIONS["strategy"], name)
        for dimension_name in self.names:
            dimension = DIMENSIONS[dimension_name]
            if dimension_name == "strategy" or not dimension.matters(strategy, settings):
                continue
            if dimension.choices:
                value = suggestions.suggest_categorical(dimension_name, dimension.choices)
            else:
                number = suggestions.suggest_float(
                    dimension_name, dimension.low, dimension.high, log=dimension.log
                )
                value = float(f"{number * dimension.factor(strategy, settings):.{_DIGITS}g}")
            settings = _with(settings, dimension, value)
        return settings

    def values(self, settings: TrainSettings) -> dict[str, Any]:
        """Return what a trial's settings are along the dimensions that matter to it."""
        name = settings.transfer.strategy
        found: dict[str, Any] = {"strategy": name}
        if name != AUTO:
            strategy = find_strategy(name)
            found |= {
                one: getattr(getattr(settings, DIMENSIONS[one].section), DIMENSIONS[one].option)
                for one in self.names
                if one != "strategy" and DIMENSIONS[one].matters(strategy, settings)
            }
        return found


def search_space(settings: TrainSettings, names: Sequence[str], strategies: Sequence[str]) -> SearchSpace:
    """Return what may vary: the named dimensions, but for options that were given another value.

    Raises:
        ConfigError: A name is unknown, nothing is left to vary, or a corner of the space is refused.
    """
    for name in names:
        if name not in DIMENSIONS:
            raise ConfigError(f"--space: {name!r} is not one of {', '.join(DIMENSIONS)}")
    tried = _strategies(settings, names, strategies)
    free = tuple(name for name in DIMENSIONS if name in names and DIMENSIONS[name].is_free(settings))
    space = SearchSpace(settings, free, tried)
    drawn = [_Corner() for _ in tried]
    for name, corner in zip(tried, drawn, strict=True):
        for head in ("linear", "mlp"):
            corner.fixed = {"strategy": name, "head": head}
            space.draw(corner)
    if len(tried) == 1 and not any(corner.asked for corner in drawn):
        raise ConfigError(
            f"nothing of --space {','.join(names)} changes {tried[0]}: there is nothing to search"
        )
    return space


def _strategies(settings: TrainSettings, names: Sequence[str], strategies: Sequence[str]) -> tuple[str, ...]:
    given = settings.transfer.strategy
    if given != AUTO:
        find_strategy(given)
        return (given,)
    if "strategy" not in names:
        raise ConfigError("--space without strategy needs the one to keep: give --transfer.strategy")
    if not strategies:
        raise ConfigError("--strategies names none")
    for name in strategies:
        find_strategy(name)
    return tuple(dict.fromkeys(strategies))


class _Corner:
    """Draws a corner of the space, to see before any training that nothing in it is refused."""

    def __init__(self) -> None:
        self.fixed: Mapping[str, str] = {}
        self.asked: set[str] = set()

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        self.asked.add(name)
        return self.fixed.get(name, choices[-1])

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:  # noqa: ARG002
        self.asked.add(name)
        return high


def _with(settings: TrainSettings, dimension: Dimension, value: Any) -> TrainSettings:
    section = replace(getattr(settings, dimension.section), **{dimension.option: value})
    return replace(settings, **{dimension.section: section})
