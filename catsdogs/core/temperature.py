"""Temperature: one positive number that makes probabilities honest and never changes a label."""

from __future__ import annotations

import math

import numpy as np

from catsdogs.core.errors import DataError
from catsdogs.core.predictions import FloatArray, IntArray, log_softmax

_COLDEST, _HOTTEST = 0.05, 20.0
# Standard deviation of the prior on ln T: few models are out by more than a factor of 1.4 (docs/LOG.md).
_SPREAD = 0.3


def log_losses(logits: FloatArray, labels: IntArray) -> FloatArray:
    """Return -ln p(true class) of each picture, (N,) in [0, inf), from logits (N, C) and classes (N,).

    Nothing is clipped: a saturated mistake costs what it costs.

    >>> log_losses(np.array([[0.0, 0.0], [1e4, 0.0]]), np.array([0, 1])).round(4)
    array([6.931e-01, 1.000e+04])
    """
    return np.asarray(-log_softmax(logits)[np.arange(len(labels)), labels])


def log_loss(logits: FloatArray, labels: IntArray) -> float:
    """Return the mean of -ln p(true class), in [0, inf), from logits (N, C) and classes (N,)."""
    return float(log_losses(logits, labels).mean())


def fit_temperature(logits: FloatArray, labels: IntArray) -> float:
    """Return the T, 0.05 to 20, that minimises the log loss of ``logits / T``; 1 where there are no pictures.

    T minimises the sum of losses plus (ln T / 0.3)^2 / 2, a normal prior on ln T: it keeps a set that is
    separated all but perfectly from sending T to 0. What counts against it are mistakes: the prior is
    negligible where there are some tens of them. T above 1 means that the model was too sure.

    Raises:
        DataError: A logit is not finite, or a label is not one of the classes.

    Source: Guo et al. 2017, On Calibration of Modern Neural Networks, section 4.2; the prior is ours.

    >>> sure, wrong_half_the_time = np.array([[9.0, 0.0]] * 1000), np.array([0, 1] * 500)
    >>> fit_temperature(sure, wrong_half_the_time) > 10
    True
    """
    # scipy's optimisers take 0.3 s to import, and predicting does not need them.
    from scipy.optimize import minimize_scalar

    if not len(labels):
        return 1.0
    _check(logits, labels)

    def penalised(log_temperature: float) -> float:
        losses = log_losses(logits / math.exp(log_temperature), labels)
        return float(losses.sum()) + (log_temperature / _SPREAD) ** 2 / 2

    limits = (math.log(_COLDEST), math.log(_HOTTEST))
    best = minimize_scalar(penalised, bounds=limits, method="bounded", options={"xatol": 1e-5})
    return math.exp(best.x)


def _check(logits: FloatArray, labels: IntArray) -> None:
    lost = int((~np.isfinite(logits).all(axis=1)).sum())
    if lost:
        raise DataError(f"no temperature can be fitted: the scores of {lost} of {len(labels)} are not finite")
    if labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise DataError("no temperature can be fitted: a picture has no label among the classes")
