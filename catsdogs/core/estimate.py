"""Estimate: a figure and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95 % interval; all three are NaN where the figure is undefined."""

    value: float
    low: float
    high: float

    @classmethod
    def undefined(cls) -> Estimate:
        """Return the estimate of a figure that these pictures do not define."""
        return cls(math.nan, math.nan, math.nan)

    @property
    def defined(self) -> bool:
        """Whether the figure exists."""
        return not math.isnan(self.value)

    def to_dict(self) -> dict[str, float | None]:
        """Return plain values for JSON; undefined becomes null."""
        return {name: None if math.isnan(number) else number for name, number in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, float | None]) -> Estimate:
        """Build it from the plain values of ``to_dict``."""
        return cls(**{name: math.nan if number is None else number for name, number in values.items()})
