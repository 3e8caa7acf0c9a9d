"""Sections of a run's settings: data, network, transfer; each refuses only what is wrong in itself.

The signature is the schema and the docstring is the help.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from catsdogs.core.errors import ConfigError
from catsdogs.core.preprocess import Framing
from catsdogs.models.networkspec import Activation, Initialization
from catsdogs.transfer.thresholds import Thresholds

FIND = "find"
USUAL_BATCH = 32
USUAL_BACKBONE = "mobilenetv2_100"


@dataclass(frozen=True)
class DataSettings:
    """Where the pictures are and how they are shared out.

    Attributes:
        root: Folder, zip or manifest.csv with labelled pictures; 'drawn' makes drawn cats and dogs.
        limit_per_class: Use at most this many pictures of each class, drawn with the seed.
        val_fraction: Share of the pictures that validation gets.
        test_fraction: Share of the pictures that the test gets.
        group_by: Regular expression; pictures whose names match the same group stay in one split.
        download: Fetch Microsoft's public archive of cats and dogs (787 MB) first, into root or else data/.
        workers: Processes or threads that decode pictures; by default the processor's cores, and none beside
            this one for trainings on fewer than 200.
        corrections: A labels.csv that somebody has edited: it changes labels and removes pictures.
        sampler: 'balanced' shows as many pictures of every class, those of rare ones several times an epoch;
            validation then weighs the classes alike too. 'natural' shows each picture once.
    """

    root: str = "drawn"
    limit_per_class: int | None = None
    val_fraction: float = 0.15
    test_fraction: float = 0.15
    group_by: str | None = None
    download: bool = False
    workers: int | None = None
    corrections: str | None = None
    sampler: Literal["natural", "balanced"] = "natural"


@dataclass(frozen=True)
class ModelSettings:
    """The network.

    Attributes:
        backbone: Any classification architecture of timm, or the small 'catsdogs_cnn' to train from scratch;
            by default that of the weights where these are a model, else mobilenetv2_100.
        weights: 'hub' (timm's, downloaded), 'none' (random), a local safetensors or PyTorch file, the folder
            of a run to build on, or 'embedded', the small network for cats and dogs that catsdogs carries.
        framing: 'square' shows the largest square of a picture, in an input as large as its authors resized
            to; 'crop' cuts the edges off that as they did. By default square where the backbone stays
            frozen, crop where it is trained, and as it has learned where the weights are a model. Networks
            that take one size only always crop.
        input_size: Height and width of the network's input in pixels; by default the framing's.
        head: 'linear' or 'mlp' (one hidden layer).
        hidden: Units of the hidden layer of an mlp head.
        dropout: Share of the head's inputs that training drops.
        stochastic_depth: Share of residual branches that training drops, where the network has them.
        activation: Between the layers of an mlp head and of catsdogs_cnn; 'maxout' takes the larger of two.
        initialization: Random numbers that an mlp head's hidden layer and a network without weights start
            from; 'auto' suits the activation. Under 'zeros' and 'constant' hidden units never differ.
    """

    backbone: str | None = None
    weights: str = "hub"
    framing: Framing | None = None
    input_size: int | None = None
    head: Literal["linear", "mlp"] = "linear"
    hidden: int = 256
    dropout: float = 0.0
    stochastic_depth: float = 0.0
    activation: Activation = "relu"
    initialization: Initialization = "auto"


@dataclass(frozen=True)
class NetworkSettings:
    """What catsdogs_cnn is made of; no other backbone takes these.

    Attributes:
        width: Channels of the first of its four stages; each further one has twice as many.
        depth: Blocks of two convolutions in each stage.
        batch_norm: Whether BatchNorm follows each convolution.
        residual: Whether each block's input is added to its output.
        dropout: Share of feature maps that training drops inside each block.
        auxiliary: Weight of the loss of a second classifier on the third stage, which gradient epochs train
            along and the model file leaves out; 0 for none.
    """

    width: int = 16
    depth: int = 1
    batch_norm: bool = True
    residual: bool = True
    dropout: float = 0.0
    auxiliary: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a weight that no loss can have.

        Raises:
            ConfigError: It is negative or not a number.
        """
        if not 0 <= self.auxiliary < float("inf"):
            raise ConfigError(f"--network.auxiliary must be 0 or more, not {self.auxiliary}")


@dataclass(frozen=True)
class TransferSettings:
    """How much of the backbone to keep, and the numbers of the training.

    Attributes:
        strategy: 'auto' measures the pictures and chooses; or linear_probe, stage_probe, svm_probe,
            finetune_top, surgical, finetune_full, gradual, norm_and_bias, from_scratch.
        epochs: Passes over the training pictures; by default the strategy's own number.
        learning_rate: At the top of the schedule; by default the strategy's own. 'find' lets it rise on the
            start model until the loss breaks away, and takes a tenth of that.
        head_rate: The head's learning rate is this times the backbone's.
        layer_decay: Each layer group's learning rate is this times that of the group above it.
        layer_groups: How many groups finetune_top and surgical train.
        frozen_epochs: Epochs before the others in which the head trains alone, at a higher rate.
        epochs_per_stage: Epochs before gradual unfreezes the next layer groups.
        frozen_statistics: Whether BatchNorm's statistics stay fixed; by default the strategy's choice.
        stages: Where stage_probe and svm_probe take their features, such as '4' or '4,top'; by default
            the stage with the best cross-validated probe.
        svm_kernel: 'rbf' or 'linear'.
        bake_off: Whether auto may train two candidates for a moment where the evidence does not decide.
        thresholds: Where auto draws the borders of the matrix.
        batch_size: Pictures per training step, over all processes together. 'find' takes the most that the
            GPU's memory holds, or on a processor 32 unless another number is clearly faster; the learning
            rate stays as it is.
        patience_epochs: Stop after this many epochs without a better validation loss; 0 never stops.
    """

    strategy: str = "auto"
    epochs: int | None = None
    learning_rate: float | Literal["find"] | None = None
    head_rate: float = 1.0
    layer_decay: float = 1.0
    layer_groups: int = 2
    frozen_epochs: int = 0
    epochs_per_stage: int = 1
    frozen_statistics: bool | None = None
    stages: str | None = None
    svm_kernel: Literal["rbf", "linear"] = "rbf"
    bake_off: bool = True
    thresholds: Thresholds = field(default_factory=Thresholds)
    batch_size: int | Literal["find"] = USUAL_BATCH
    patience_epochs: int = 5

    def __post_init__(self) -> None:
        """Refuse numbers that no training can use.

        Raises:
            ConfigError: One is out of range; the message names it.
        """
        for name, holds, wanted in (
            ("epochs", self.epochs is None or self.epochs >= 1, "1 or more"),
            (
                "learning_rate",
                self.learning_rate in (None, FIND) or float(self.learning_rate or 0) > 0,
                "positive, or 'find'",
            ),
            ("head_rate", self.head_rate > 0, "positive"),
            ("layer_decay", 0 < self.layer_decay <= 1, "in (0, 1]"),
            ("layer_groups", self.layer_groups >= 1, "1 or more"),
            ("frozen_epochs", self.frozen_epochs >= 0, "0 or more"),
            ("epochs_per_stage", self.epochs_per_stage >= 1, "1 or more"),
            ("batch_size", self.batch_size == FIND or self.pictures_per_step >= 1, "1 or more, or 'find'"),
            ("patience_epochs", self.patience_epochs >= 0, "0 or more"),
        ):
            if not holds:
                raise ConfigError(f"--transfer.{name} must be {wanted}, not {getattr(self, name)}")

    @property
    def pictures_per_step(self) -> int:
        """The batch size; the usual one as long as it is still to be found."""
        return USUAL_BATCH if self.batch_size == FIND else int(self.batch_size)
