"""Where the borders of the matrix lie."""

from __future__ import annotations

from dataclasses import dataclass


# No slots: jsonargparse reads the defaults from __dict__.
@dataclass(frozen=True)
class Thresholds:
    """Where the borders of the matrix lie; docs/LOG.md has the measurements that they come from.

    Attributes:
        plenty: Training pictures from which gradient epochs can beat a frozen backbone.
        similar: Share of the labels' uncertainty that a linear probe on the top removes, from which the task
            counts as similar to what the backbone was trained for.
        caution: Divided by the number of pictures, the paired standard errors by which a probe must beat the
            safest one, an SVM on the best stages together: of many candidates the luckiest looks best, and
            on twenty pictures luck is all there is.
        head_start: Factor on the held-out log loss of a candidate that was trained with gradients in a
            bake-off: it had fewer pictures and epochs than it will have.
    """

    plenty: int = 1000
    similar: float = 0.6
    caution: float = 80.0
    head_start: float = 1.0
