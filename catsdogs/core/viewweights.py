"""Weights of views: how much each view of a recipe counts, learned once and kept with the model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from catsdogs.core.errors import ModelError

_TOLERANCE = 1e-6


@dataclass(frozen=True)
class ViewWeights:
    """Learned weights of the views of one recipe.

    Attributes:
        tta: The recipe as it was asked for.
        weights: Name of a view -> its share of the merged probability, from 0 to 1; they sum to 1.
        learned_on: Where the pictures came from that they were learned on: ``val``, ``test`` or ``input``.
        n: How many pictures that were.
    """

    tta: str
    weights: Mapping[str, float]
    learned_on: str
    n: int

    def __post_init__(self) -> None:
        """Check that they are weights.

        Raises:
            ModelError: One is not from 0 to 1, or they do not sum to 1.
        """
        values = list(self.weights.values())
        if not values or not all(0 <= value <= 1 + _TOLERANCE for value in values):
            raise ModelError(f"the weights of the views {self.tta} are not numbers from 0 to 1")
        if abs(math.fsum(values) - 1) > _TOLERANCE:
            raise ModelError(f"the weights of the views {self.tta} sum to {math.fsum(values):.6g}, not to 1")

    def order(self, names: Sequence[str]) -> tuple[float, ...]:
        """Return the weights in the order of these views, which must be the ones they are for."""
        return tuple(self.weights[name] for name in names)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self) | {"weights": dict(self.weights)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ViewWeights:
        """Build them from the plain values of ``to_dict``.

        Raises:
            ModelError: They are damaged.
        """
        try:
            weights = {str(name): float(value) for name, value in values["weights"].items()}
            return cls(str(values["tta"]), weights, str(values["learned_on"]), int(values["n"]))
        except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
            raise ModelError(f"the weights of views are damaged: {error}") from error
