"""HeadSpec: what a head is made of, in plain values, for settings and for model files; no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from catsdogs.core.errors import ModelError
from catsdogs.models.networkspec import ACTIVATIONS

HEADS = ("linear", "mlp", "rbf")
_WIDEST = 65_536
# A file may ask for no more memory than this: 256 MiB of support vectors of 4,096 features.
_MOST_VECTORS = 16_384


@dataclass(frozen=True, slots=True)
class HeadSpec:
    """What a head is made of.

    Attributes:
        kind: ``linear``, ``mlp`` with one hidden layer, or ``rbf``, a support vector machine.
        hidden: Width of the hidden layer of an ``mlp``.
        dropout: Share of features (and of hidden units) that training drops, in [0, 1).
        vectors: Number of support vectors of an ``rbf`` head, 0 for the others.
        activation: Of the hidden layer of an ``mlp``.
    """

    kind: str = "linear"
    hidden: int = 256
    dropout: float = 0.0
    vectors: int = 0
    activation: str = "relu"

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            ModelError: A kind is unknown or a number out of range.
        """
        if self.kind not in HEADS:
            raise ModelError(f"head {self.kind!r} is not one of {', '.join(HEADS)}")
        if not isinstance(self.hidden, int) or not 1 <= self.hidden <= _WIDEST:
            raise ModelError(f"a hidden layer of {self.hidden} units is outside 1 to {_WIDEST}")
        if not 0 <= self.dropout < 1:
            raise ModelError(f"dropout {self.dropout} is outside [0, 1)")
        if self.activation not in ACTIVATIONS:
            raise ModelError(f"activation {self.activation!r} is not one of {', '.join(ACTIVATIONS)}")
        fewest, most = (1, _MOST_VECTORS) if self.kind == "rbf" else (0, 0)
        if type(self.vectors) is not int or not fewest <= self.vectors <= most:
            raise ModelError(
                f"{self.vectors} support vectors are outside {fewest} to {most} for head {self.kind!r}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> HeadSpec:
        """Build the spec from the plain values of ``to_dict``.

        Raises:
            ModelError: A key is unknown or a value out of range.
        """
        try:
            return cls(**values)
        except TypeError as error:
            raise ModelError(f"the head is not valid: {error}") from error
