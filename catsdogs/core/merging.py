"""Merging what several views, or several models, said about the same pictures."""

from collections.abc import Callable

import numpy as np

from catsdogs.core.predictions import FloatArray, log_softmax


def log_mean_probability(logits: FloatArray) -> FloatArray:
    """Merge logits (V, N, C) by the mean of their probabilities; returns its logarithm, float64 (N, C).

    One view comes back with the probabilities it had, and with its log loss where these round to 0 or 1.
    """
    views = log_softmax(logits)
    peaks = views.max(axis=0)
    return np.asarray(peaks + np.log(np.exp(views - peaks).mean(axis=0)))


def mean_logit(logits: FloatArray) -> FloatArray:
    """Merge logits (V, N, C) by their mean, which is the normalised geometric mean of probabilities."""
    return np.asarray(np.asarray(logits, dtype=np.float64).mean(axis=0))


MERGES: dict[str, Callable[[FloatArray], FloatArray]] = {
    "mean": log_mean_probability,
    "geometric": mean_logit,
}
