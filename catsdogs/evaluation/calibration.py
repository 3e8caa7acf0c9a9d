"""Calibration: is a model that says 0.9 right nine times in ten? ``core.temperature`` mends it if not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from catsdogs.core.predictions import FloatArray, IntArray

DEFAULT_BINS = 15


@dataclass(frozen=True)
class Reliability:
    """Confidence against accuracy, bin by bin: the data of a reliability diagram.

    Attributes:
        confidence: Float64 (B,), mean probability of the predicted class; NaN where the bin is empty.
        accuracy: Float64 (B,), share of right predictions; NaN where the bin is empty.
        count: Int64 (B,), pictures in the bin.
    """

    confidence: FloatArray
    accuracy: FloatArray
    count: IntArray


def confidence_bin(confidence: FloatArray, bins: int = DEFAULT_BINS) -> IntArray:
    """Return the bin, 0 to ``bins`` - 1, of each confidence in [0, 1].

    Bins are equally wide and hold their upper edge: bin b is (b / bins, (b + 1) / bins].

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", section 2.
    """
    edges = np.linspace(0.0, 1.0, bins + 1)
    return np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)


def mass_bin(confidence: FloatArray, bins: int = DEFAULT_BINS) -> IntArray:
    """Return the bin, 0 to ``bins`` - 1, of each confidence: as many pictures in each as ties allow.

    Equal confidences share the bin of the first of them, so the order of the pictures means nothing.

    Source: Nguyen and O'Connor 2015, "Posterior Calibration and Exploratory Analysis for Natural Language
    Processing Models", section 3.

    >>> mass_bin(np.array([0.9, 0.6, 0.99, 0.7]), bins=2)
    array([1, 0, 1, 0])
    """
    smaller = np.searchsorted(np.sort(confidence), confidence, side="left")
    return np.asarray(smaller * bins // max(len(confidence), 1), dtype=np.int64)


Binning = Callable[[FloatArray, int], IntArray]
"""Confidences (N,) and a number of bins -> the bin of each."""


def reliability(
    probabilities: FloatArray, labels: IntArray, bins: int = DEFAULT_BINS, binning: Binning = confidence_bin
) -> Reliability:
    """Return confidence, accuracy and count per bin of the probability of the predicted class.

    Args:
        probabilities: (N, C) in [0, 1].
        labels: (N,) in 0 to C - 1.
        bins: How many there are.
        binning: Equally wide bins, or ``mass_bin``.

    >>> half = reliability(np.array([[0.8, 0.2], [0.4, 0.6]]), np.array([0, 0]), bins=2)
    >>> half.confidence, half.accuracy, half.count
    (array([nan, 0.7]), array([nan, 0.5]), array([0, 2]))
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    where = binning(confidence, bins)
    count = np.bincount(where, minlength=bins)
    sums = [np.bincount(where, weights=values, minlength=bins) for values in (confidence, right)]
    means = [np.divide(total, count, out=np.full(bins, np.nan), where=count > 0) for total in sums]
    return Reliability(confidence=means[0], accuracy=means[1], count=count)
