"""Reliability: the parts that a diagram draws and that ECE sums."""

import numpy as np
import pytest

from catsdogs.core.predictions import softmax
from catsdogs.evaluation import metrics
from catsdogs.evaluation.calibration import reliability


def test_the_parts_of_reliability_sum_to_ece():
    generator = np.random.default_rng(0)
    probabilities, labels = softmax(generator.normal(scale=3, size=(800, 3))), generator.integers(0, 3, 800)
    parts = reliability(probabilities, labels)
    gaps = np.nan_to_num(np.abs(parts.accuracy - parts.confidence)) * parts.count / 800
    assert gaps.sum() == pytest.approx(metrics.ece(probabilities, labels), rel=1e-12)
    assert parts.count.sum() == 800
    assert len(parts.count) == 15


def test_a_bin_holds_its_upper_edge():
    probabilities = np.array([[0.5, 0.5], [0.25, 0.75], [1.0, 0.0]])
    assert reliability(probabilities, np.zeros(3, dtype=np.int64), bins=4).count.tolist() == [0, 1, 1, 1]


def test_no_pictures_fill_no_bin():
    empty = reliability(np.zeros((0, 2)), np.zeros(0, dtype=np.int64))
    assert empty.count.sum() == 0
    assert np.isnan(empty.accuracy).all()
