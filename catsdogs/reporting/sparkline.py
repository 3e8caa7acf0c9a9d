"""A curve in one line of text."""

from __future__ import annotations

import math
from collections.abc import Sequence

_BLOCKS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """Return a line of blocks, from zero to the highest value; what is not finite is a gap.

    >>> sparkline([8, 6, 3, 1, 0])
    '█▆▃▁▁'
    """
    step = max(1, math.ceil(len(values) / width))
    chosen = values[::step]
    highest = max((value for value in chosen if math.isfinite(value)), default=0.0) or 1.0
    return "".join(_block(value / highest) for value in chosen)


def _block(share: float) -> str:
    if not math.isfinite(share):
        return " "
    return _BLOCKS[min(len(_BLOCKS) - 1, max(0, int(share * len(_BLOCKS) - 1e-9)))]
