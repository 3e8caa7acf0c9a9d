"""Reliability: the parts that a diagram draws and that ECE sums."""

import numpy as np
import pytest

from catsdogs.core.predictions import softmax
from catsdogs.evaluation import metrics
from catsdogs.evaluation.calibration import mass_bin, reliability


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


def test_bins_of_equal_mass_hold_equally_many_and_sum_to_their_ece():
    generator = np.random.default_rng(0)
    probabilities, labels = softmax(generator.normal(scale=3, size=(900, 3))), generator.integers(0, 3, 900)
    parts = reliability(probabilities, labels, binning=mass_bin)
    assert parts.count.tolist() == [60] * 15
    assert (np.diff(parts.confidence) > 0).all()
    gaps = np.abs(parts.accuracy - parts.confidence) * parts.count / 900
    assert gaps.sum() == pytest.approx(metrics.ece_mass(probabilities, labels), rel=1e-12)


def test_equal_confidences_share_a_bin_whatever_their_order():
    confidence = np.array([0.5, 1.0, 1.0, 1.0, 1.0, 0.75])
    assert mass_bin(confidence, 3).tolist() == [0, 1, 1, 1, 1, 0]
    order = np.random.default_rng(0).permutation(6)
    assert mass_bin(confidence[order], 3).tolist() == mass_bin(confidence, 3)[order].tolist()
    assert mass_bin(np.empty(0)).tolist() == []


def test_bins_of_equal_mass_see_what_one_wide_bin_hides():
    """Half of the pictures are said to be 0.99 sure and are 0.97; the other half 0.95 and are 0.97."""
    confidence = np.repeat([0.99, 0.95], 1000)
    right = np.tile(np.arange(1000) < 970, 2)
    probabilities = np.stack([1 - confidence, confidence], axis=1)
    labels = right.astype(np.int64)
    assert metrics.ece(probabilities, labels) == pytest.approx(0.0, abs=1e-9)
    assert metrics.ece_mass(probabilities, labels) == pytest.approx(0.02)
