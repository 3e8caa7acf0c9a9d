"""Merging what several views, or several models, said about the same pictures.

Every merge takes logits (V, N, C) and returns float64 (N, C) whose softmax is what they say together.
"""

from collections.abc import Callable, Sequence

import numpy as np

from catsdogs.core.predictions import FloatArray, log_softmax, softmax


def log_mean_probability(logits: FloatArray, weights: Sequence[float] | None = None) -> FloatArray:
    """Merge logits (V, N, C) by the mean of their probabilities; returns its logarithm, float64 (N, C).

    One view comes back with the probabilities it had, and with its log loss where these round to 0 or 1.
    ``weights``, V numbers from 0 up that sum to 1, make it a weighted mean.
    """
    views = log_softmax(logits)
    if weights is not None:
        used = np.asarray(weights, dtype=np.float64)
        views = views[used > 0] + np.log(used[used > 0] * np.count_nonzero(used > 0))[:, None, None]
    peaks = views.max(axis=0)
    return np.asarray(peaks + np.log(np.exp(views - peaks).mean(axis=0)))


def mean_logit(logits: FloatArray) -> FloatArray:
    """Merge logits (V, N, C) by their mean, which is the normalised geometric mean of probabilities."""
    return np.asarray(np.asarray(logits, dtype=np.float64).mean(axis=0))


def log_geometric_mean(logits: FloatArray) -> FloatArray:
    """Merge logits (V, N, C) by the geometric mean of probabilities, made to sum to 1; returns its logarithm.

    These are the probabilities of ``mean_logit``: the two differ by a constant a picture.
    """
    return log_softmax(log_softmax(logits).mean(axis=0))


def log_max_probability(logits: FloatArray) -> FloatArray:
    """Merge logits (V, N, C) by each class's largest probability in any view, made to sum to 1."""
    return log_softmax(log_softmax(logits).max(axis=0))


def log_votes(logits: FloatArray) -> FloatArray:
    """Merge logits (V, N, C) by the share of views that call each class; returns its logarithm.

    The mean of their probabilities has a vote too: it breaks ties, and no class that a view holds possible
    gets 0. A view calls its most probable class, the first among equals.
    """
    probabilities = softmax(logits)
    called = np.eye(logits.shape[2])[probabilities.argmax(axis=2)]  # (V, N, C)
    mean = log_mean_probability(logits)
    votes = np.where(np.isnan(mean), np.nan, called.sum(axis=0))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.logaddexp(np.log(votes), mean) - np.log(len(logits) + 1))


MERGES: dict[str, Callable[[FloatArray], FloatArray]] = {
    "mean": log_mean_probability,
    "logits": mean_logit,
    "geometric": log_geometric_mean,
    "max": log_max_probability,
    "vote": log_votes,
}
