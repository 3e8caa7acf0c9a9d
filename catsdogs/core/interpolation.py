"""Interpolation: how far from its start towards its end a training's weights are best."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

INTERPOLATION = "interpolation"
"""What model cards call it among the facts about their training."""
END = 1.0
POSITIONS = (0.2, 0.35, 0.5, 0.65, 0.8, END)
"""What is tried, the start's neighbours first."""
# Where the best position is expected, and the standard deviation of that (docs/LOG.md).
_EXPECTED, _SPREAD = 0.5, 0.25


@dataclass(frozen=True)
class Interpolation:
    """What weights on the way from the start to the end of a training lose on held-out pictures.

    Attributes:
        position: The chosen one, in [0, 1]; 0 is the start, 1 the end.
        pictures: That judged; 0 where the position was asked for.
        log_losses: Calibrated mean loss at each position tried; empty where the position was asked for.
    """

    position: float
    pictures: int
    log_losses: Mapping[float, float]

    @property
    def sentence(self) -> str:
        """What was kept, and why."""
        if not self.log_losses:
            return f"interpolation: {self._way} is kept, as asked"
        judged = f"{self.pictures:,} held-out pictures"
        if self.position == END:
            return f"interpolation: the trained weights stay as they are, by the log loss of {judged}"
        kept, trained = self.log_losses[self.position], self.log_losses[END]
        close = ", too close to outvote what helps more often" if kept > trained else ""
        return (
            f"interpolation: {self._way} is kept: log loss {kept:.4f} on {judged}, "
            f"of the trained weights {trained:.4f}{close}"
        )

    @property
    def _way(self) -> str:
        return f"{self.position:.0%} of the way from the start to the trained weights"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        losses = {str(position): loss for position, loss in self.log_losses.items()}
        return {"position": self.position, "pictures": self.pictures, "log_losses": losses}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Interpolation:
        """Build it from the plain values of ``to_dict``."""
        losses = {float(position): float(loss) for position, loss in values["log_losses"].items()}
        return cls(float(values["position"]), int(values["pictures"]), losses)


def best_position(log_losses: Mapping[float, float], pictures: int) -> float:
    """Return the position with the least sum of losses plus ``((position - 0.5) / 0.25)^2 / 2``.

    That is a normal prior on it: a few pictures that are all right already cannot tell one position from
    another, and half way is what helps most often. Hundreds of pictures outvote it. Losses that are not
    finite do not count; where all are so, the trained weights stay.

    Source: Wortsman et al. 2022, Robust fine-tuning of zero-shot models (WiSE-FT), which recommends 0.5
    where nothing else is known; the prior's width is ours.

    >>> best_position({0.5: 0.10, 1.0: 0.05}, pictures=10)
    0.5
    >>> best_position({0.5: 0.10, 1.0: 0.05}, pictures=1000)
    1.0
    """
    finite = {position: loss for position, loss in log_losses.items() if math.isfinite(loss)}

    def penalised(position: float) -> float:
        return pictures * finite[position] + ((position - _EXPECTED) / _SPREAD) ** 2 / 2

    return min(finite, key=penalised, default=END)
