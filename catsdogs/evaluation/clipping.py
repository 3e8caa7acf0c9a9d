"""How far from 0 and 1 probabilities should stay when they are scored by log loss."""

from __future__ import annotations

import numpy as np

from catsdogs.core.predictions import FloatArray

_BOUNDS = np.logspace(-6, -1, 501)


def clip_bound(true_probabilities: FloatArray) -> float:
    """Return the bound whose clipping gives the least expected log loss on pictures like these.

    One more picture is imagined that is wrong with full confidence. Without it, pictures that are all right
    would ask for no bound at all, and a single confident mistake elsewhere would cost a fortune. With all n
    right and sure, the bound is 1 / (n + 1), the rule of succession.

    Args:
        true_probabilities: Float64 (N,), what the model gave the true class of validation pictures.

    >>> round(clip_bound(np.ones(999)), 4)
    0.001
    """
    clipped = np.clip(true_probabilities[:, None], _BOUNDS, 1 - _BOUNDS)
    losses = -np.log(clipped).sum(axis=0) - np.log(_BOUNDS)
    return float(_BOUNDS[losses.argmin()])
