"""The settings of a run, as the command line and the config files fill them in; options checked together."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any, get_type_hints

from catsdogs.core.errors import ConfigError
from catsdogs.data.presets import AugmentationSettings
from catsdogs.models.networkspec import CNN, NetworkSpec
from catsdogs.training.recipe import Averaging, Distillation, Loss, Schedule, Solver
from catsdogs.transfer.strategies import STRATEGIES
from catsdogs.workflows.sections import (
    FIND,
    USUAL_BACKBONE,
    DataSettings,
    ModelSettings,
    NetworkSettings,
    TransferSettings,
)

_OTHER_WEIGHTS = frozenset({"64", "64-true", "16-true", "bf16-true"})


@dataclass(frozen=True)
class TrainSettings:
    """Everything that decides what a run computes; each dataclass is a section of options."""

    data: DataSettings = field(default_factory=DataSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    transfer: TransferSettings = field(default_factory=TransferSettings)
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)
    solver: Solver = field(default_factory=Solver)
    schedule: Schedule = field(default_factory=Schedule)
    loss: Loss = field(default_factory=Loss)
    averaging: Averaging = field(default_factory=Averaging)
    distillation: Distillation = field(default_factory=Distillation)
    seed: int = 0
    trainer: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a seed that no generator takes, and options that contradict the model file or each other.

        Raises:
            ConfigError: One of them was asked for.
        """
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"--seed must be from 0 to {2**32 - 1}, not {self.seed}")
        precision = str(self.trainer.get("precision"))
        if precision in _OTHER_WEIGHTS:
            raise ConfigError(
                f"--trainer.precision {precision} would train weights that are not float32, "
                "as the model file holds them; take 32-true, bf16-mixed or 16-mixed"
            )
        if self.data.sampler == "balanced" and self.loss.class_weights == "balanced":
            raise ConfigError(
                "--data.sampler balanced and --loss.class_weights balanced correct twice: take one"
            )
        self._require_used()
        _check_strategy(self)

    @property
    def backbone(self) -> str:
        """The backbone's name, as far as it is known without opening the weights."""
        return self.model.backbone or USUAL_BACKBONE

    @property
    def network_spec(self) -> NetworkSpec | None:
        """What catsdogs_cnn is made of; None for another backbone."""
        if self.model.backbone != CNN:
            return None
        options = asdict(self.network)
        del options["auxiliary"]
        return NetworkSpec(**options, activation=self.model.activation)

    def _require_used(self) -> None:
        """Refuse options that would change nothing, and a network that cannot be built."""
        model, cnn = self.model, self.network_spec is not None
        mlp = model.head == "mlp"
        fresh = model.weights == "none" or self.transfer.strategy == "from_scratch"
        for name, value in asdict(self.network).items():
            if not cnn and value != getattr(NetworkSettings, name):
                raise ConfigError(f"--network.{name} is for --model.backbone {CNN}, not for {self.backbone}")
        if model.activation != "relu" and not (mlp or cnn):
            raise ConfigError(
                f"--model.activation is for --model.head mlp and --model.backbone {CNN}; neither is there"
            )
        if model.initialization != "auto" and not (mlp or fresh):
            raise ConfigError(
                "--model.initialization is for --model.head mlp and for a backbone without weights "
                "(--model.weights none, --transfer.strategy from_scratch); neither is there"
            )


def _check_strategy(settings: TrainSettings) -> None:
    """Refuse what the strategy cannot do.

    Raises:
        ConfigError: It cannot.
    """
    transfer, strategy = settings.transfer, STRATEGIES.get(settings.transfer.strategy)
    if strategy is not None and not strategy.trains_backbone:
        for asked, refusal in (
            (
                settings.augmentation.cutmix,
                f"--augmentation.cutmix cuts pictures, but the head of {strategy.name} learns from features",
            ),
            (
                settings.distillation.teacher,
                f"--distillation.teacher answers pictures, but {strategy.name} learns from features",
            ),
            (
                settings.network.auxiliary,
                f"--network.auxiliary helps layers to learn, but {strategy.name} keeps the backbone",
            ),
        ):
            if asked:
                raise ConfigError(f"{refusal}; leave it out, or take a strategy that trains the backbone")
    if settings.loss.l2_sp and strategy and not (strategy.trains_backbone and strategy.pretrained):
        raise ConfigError(f"--loss.l2_sp: {strategy.name} has no pretrained weights that train; leave it out")
    if not settings.solver.full_batch:
        return
    alone = "only where a head trains alone (--transfer.strategy linear_probe --model.head mlp)"
    for holds, wanted in (
        (strategy is not None and not strategy.trains_backbone, alone),
        (
            transfer.learning_rate != FIND,
            "and finds the length of each step: leave out --transfer.learning_rate",
        ),
        (not settings.model.dropout, "and needs the same loss twice: leave out --model.dropout"),
        (
            "mixed" not in str(settings.trainer.get("precision")),
            "in 32-true only: leave out --trainer.precision",
        ),
    ):
        if not holds:
            raise ConfigError(f"--solver.name {settings.solver.name} works {wanted}")


def sections() -> dict[str, type]:
    """Return the dataclasses of ``TrainSettings`` by the names of their sections."""
    hints = get_type_hints(TrainSettings).items()
    return {name: kind for name, kind in hints if isinstance(kind, type) and is_dataclass(kind)}
