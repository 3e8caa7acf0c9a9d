"""RawLabels: what a model's figures would be had nobody corrected a label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from catsdogs.core.estimate import Estimate


@dataclass(frozen=True)
class RawLabels:
    """Figures on the labels as they were given.

    Attributes:
        n: Pictures that were scored, those that were removed included.
        changed: How many of the judged pictures have another label now.
        removed: How many were left out.
        metrics: Name -> figure over all of them.
    """

    n: int
    changed: int
    removed: int
    metrics: Mapping[str, Estimate]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        figures = {name: estimate.to_dict() for name, estimate in self.metrics.items()}
        return {"n": self.n, "changed": self.changed, "removed": self.removed, "metrics": figures}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RawLabels:
        """Build it from the plain values of ``to_dict``."""
        figures = {name: Estimate.from_dict(plain) for name, plain in values["metrics"].items()}
        return cls(values["n"], values["changed"], values["removed"], figures)
