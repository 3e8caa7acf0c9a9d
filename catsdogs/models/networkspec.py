"""NetworkSpec: what ``catsdogs_cnn`` is made of, in plain values, for settings and for model files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from catsdogs.core.errors import ModelError

CNN = "catsdogs_cnn"

Activation = Literal["sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu", "maxout"]
ACTIVATIONS: tuple[str, ...] = get_args(Activation)
Initialization = Literal[
    "auto",
    "zeros",
    "constant",
    "uniform",
    "normal",
    "lecun_normal",
    "xavier_uniform",
    "xavier_normal",
    "he_uniform",
    "he_normal",
    "orthogonal",
]
# Linear pieces of a maxout unit: a layer before one has so many times the channels.
PIECES = 2

STAGES = 4
_WIDEST, _DEEPEST = 512, 64
# A file may ask for no more memory than this: 256 MiB of float32.
_MOST_PARAMETERS = 2**26


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """What ``catsdogs_cnn`` is made of.

    Attributes:
        width: Channels of the first of four stages; each further one has twice as many.
        depth: Blocks of two convolutions in each stage.
        batch_norm: Whether BatchNorm follows each convolution; without it they have biases.
        residual: Whether each block's input is added to its output.
        dropout: Share of feature maps that training drops inside each block, in [0, 1).
        activation: Of ``ACTIVATIONS``.
    """

    width: int = 16
    depth: int = 1
    batch_norm: bool = True
    residual: bool = True
    dropout: float = 0.0
    activation: str = "relu"

    def __post_init__(self) -> None:
        """Refuse what cannot be built, or takes more memory than a small network should.

        Raises:
            ModelError: A value is of another type or out of range.
        """
        for name, most in (("width", _WIDEST), ("depth", _DEEPEST)):
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= most:
                raise ModelError(f"{CNN} has a {name} from 1 to {most}, not {value}")
        for name in ("batch_norm", "residual"):
            if type(getattr(self, name)) is not bool:
                raise ModelError(f"{CNN} has a {name} that is true or false, not {getattr(self, name)}")
        if type(self.dropout) not in (int, float) or not 0 <= self.dropout < 1:
            raise ModelError(f"{CNN} has a dropout in [0, 1), not {self.dropout}")
        if self.activation not in ACTIVATIONS:
            raise ModelError(f"activation {self.activation!r} is not one of {', '.join(ACTIVATIONS)}")
        if self.parameters > _MOST_PARAMETERS:
            raise ModelError(
                f"{CNN} of width {self.width} and depth {self.depth} has {self.parameters:,} parameters; "
                f"{_MOST_PARAMETERS:,} are the most"
            )

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each stage."""
        return tuple(self.width * 2**stage for stage in range(STAGES))

    @property
    def pieces(self) -> int:
        """Channels before an activation for each channel after it."""
        return PIECES if self.activation == "maxout" else 1

    @property
    def parameters(self) -> int:
        """How many numbers the network learns, without a classifier.

        About 1,200 width² with one block a stage, and 1,530 width² more for each further one.

        >>> NetworkSpec().parameters, NetworkSpec(width=32).parameters, NetworkSpec(depth=2).parameters
        (307536, 1226400, 700176)
        """
        total = self._convolution(3, self.width, 3)
        inputs = self.width
        for outputs in self.widths:
            total += self._convolution(inputs, outputs, 3)
            total += (2 * self.depth - 1) * self._convolution(outputs, outputs, 3)
            if self.residual and inputs != outputs:
                total += self._convolution(inputs, outputs, 1) // self.pieces
            inputs = outputs
        return total

    def _convolution(self, inputs: int, outputs: int, kernel: int) -> int:
        each = inputs * kernel**2 + (2 if self.batch_norm else 1)
        return self.pieces * outputs * each

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> NetworkSpec:
        """Build the spec from the plain values of ``to_dict``.

        Raises:
            ModelError: A key is unknown or a value out of range.
        """
        try:
            return cls(**values)
        except TypeError as error:
            raise ModelError(f"the network is not valid: {error}") from error
