"""Figures as functions of how often each picture counts: what a bootstrap evaluates a thousand times.

``counts`` is float64 (N, R): column r says how often each of the N pictures is in resample r. All R resamples
are worked out together, so that sorting and binning happen once. A column of ones gives the figure itself,
which is how ``metrics`` defines it. A figure that a resample does not define is NaN there.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from catsdogs.core.predictions import FloatArray, IntArray
from catsdogs.evaluation.calibration import DEFAULT_BINS, Binning, confidence_bin

_BinaryFigure = Callable[[FloatArray, npt.NDArray[np.bool_], FloatArray], FloatArray]


def share(part: npt.ArrayLike, whole: npt.ArrayLike) -> FloatArray:
    """Return ``part / whole`` in float64, NaN where ``whole`` is zero.

    >>> share([1, 0], [4, 0])
    array([0.25,  nan])
    """
    parts, wholes = np.broadcast_arrays(np.asarray(part, np.float64), np.asarray(whole, np.float64))
    return np.asarray(np.divide(parts, wholes, out=np.full(parts.shape, np.nan), where=wholes != 0))


def mean(values: FloatArray, counts: FloatArray) -> FloatArray:
    """Return the mean of ``values`` (N,) in each resample, (R,)."""
    return share(counts.T @ values, counts.sum(axis=0))


def gaps(
    probabilities: FloatArray,
    labels: IntArray,
    counts: FloatArray,
    bins: int = DEFAULT_BINS,
    binning: Binning = confidence_bin,
) -> FloatArray:
    """Return, (R, B), n_b / N (confidence_b - accuracy_b) of each resample: what ECE sums the sizes of.

    Bins are those of the sample: a resample does not move their edges.
    """
    confidence = probabilities.max(axis=1)
    each = np.zeros((len(labels), bins))
    each[np.arange(len(labels)), binning(confidence, bins)] = confidence - (
        probabilities.argmax(axis=1) == labels
    )
    return share(counts.T @ each, counts.sum(axis=0)[:, None])


def auroc(probabilities: FloatArray, labels: IntArray, counts: FloatArray) -> FloatArray:
    """Return the area under the ROC curve in each resample, (R,); see ``metrics.auroc``."""
    return _macro(_binary_auroc, probabilities, labels, counts)


def average_precision(probabilities: FloatArray, labels: IntArray, counts: FloatArray) -> FloatArray:
    """Return the average precision in each resample, (R,); see ``metrics.average_precision``."""
    return _macro(_binary_average_precision, probabilities, labels, counts)


def _macro(
    figure: _BinaryFigure, probabilities: FloatArray, labels: IntArray, counts: FloatArray
) -> FloatArray:
    """Return the mean over the classes, each against the rest; of two classes only the second counts."""
    present = np.unique(labels)
    if len(present) < 2:
        return np.full(counts.shape[1], np.nan)
    positives = [1] if probabilities.shape[1] == 2 else present.tolist()
    figures = np.stack([figure(probabilities[:, c], labels == c, counts) for c in positives])
    return share(np.nansum(figures, axis=0), (~np.isnan(figures)).sum(axis=0))


def _binary_auroc(scores: FloatArray, positive: npt.NDArray[np.bool_], counts: FloatArray) -> FloatArray:
    """Return the share of (positive, negative) pairs in the right order, a tie being half right."""
    ascending = np.argsort(scores, kind="stable")
    negatives = ascending[~positive[ascending]]
    ranked, theirs = scores[negatives], scores[positive]
    outranked = _cumulative(counts[negatives])
    below = outranked[np.searchsorted(ranked, theirs, side="left")]
    below += outranked[np.searchsorted(ranked, theirs, side="right")]
    times = counts[positive]
    return share(np.einsum("ir,ir->r", times, below) / 2, times.sum(axis=0) * outranked[-1])


def _binary_average_precision(
    scores: FloatArray, positive: npt.NDArray[np.bool_], counts: FloatArray
) -> FloatArray:
    """Return the mean, over positives, of the precision when everything scored as high is called positive."""
    descending = np.argsort(-scores, kind="stable")
    hits = descending[positive[descending]]
    theirs = -scores[hits]
    called = _cumulative(counts[descending])
    right = _cumulative(counts[hits])
    times = counts[hits]
    precision = right[np.searchsorted(theirs, theirs, side="right")]
    # Where nothing is called positive the picture itself counts zero times.
    precision /= np.maximum(called[np.searchsorted(-scores[descending], theirs, side="right")], 1e-300)
    both = (right[-1] > 0) & (right[-1] < called[-1])
    return share(np.einsum("ir,ir->r", times, precision), np.where(both, right[-1], 0.0))


def _cumulative(rows: FloatArray) -> FloatArray:
    """Return running sums down (K, R) with a first row of zeros, (K + 1, R)."""
    sums = np.zeros((len(rows) + 1, rows.shape[1]))
    np.cumsum(rows, axis=0, out=sums[1:])
    return sums
