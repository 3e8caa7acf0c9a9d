"""Merging keeps what one view says, and every merge is a distribution again."""

import numpy as np
import pytest

from catsdogs.core.merging import (
    MERGES,
    log_geometric_mean,
    log_max_probability,
    log_mean_probability,
    log_votes,
    mean_logit,
)
from catsdogs.core.predictions import log_softmax, softmax


@pytest.fixture
def views() -> np.ndarray:
    return np.random.default_rng(0).normal(scale=3, size=(5, 40, 3))


@pytest.mark.parametrize("name", MERGES)
def test_one_view_and_equal_views_change_nothing(name, views):
    one, merge = views[:1], MERGES[name]
    if name == "vote":  # it gives only the labels back
        assert (merge(one).argmax(axis=1) == one[0].argmax(axis=1)).all()
        return
    np.testing.assert_allclose(softmax(merge(one)), softmax(one[0]))
    np.testing.assert_allclose(softmax(merge(np.repeat(one, 4, axis=0))), softmax(one[0]))


@pytest.mark.parametrize("merge", MERGES.values(), ids=MERGES.keys())
def test_the_order_of_views_does_not_matter(merge, views):
    np.testing.assert_allclose(merge(views[::-1]), merge(views))
    assert merge(views).shape == (40, 3)
    assert merge(views.astype(np.float32)).dtype == np.float64


def test_mean_is_the_mean_of_probabilities(views):
    np.testing.assert_allclose(softmax(log_mean_probability(views)), softmax(views).mean(axis=0))
    np.testing.assert_allclose(np.exp(log_mean_probability(views)).sum(axis=1), 1)


def test_geometric_is_the_normalised_geometric_mean(views):
    product = softmax(views).prod(axis=0) ** (1 / 5)
    np.testing.assert_allclose(softmax(mean_logit(views)), product / product.sum(axis=1, keepdims=True))


def test_saturated_views_keep_their_log_loss():
    sure = np.array([[[1e4, -1e4]]])
    np.testing.assert_array_equal(log_mean_probability(sure), log_softmax(sure[0]))
    split = np.array([[[1e4, -1e4]], [[-1e4, 1e4]]])
    np.testing.assert_allclose(softmax(log_mean_probability(split)), [[0.5, 0.5]])


@pytest.mark.parametrize("merge", MERGES.values(), ids=MERGES.keys())
def test_an_unreadable_picture_stays_unreadable(merge, views):
    views[:, 7] = np.nan
    assert np.flatnonzero(np.isnan(merge(views)).any(axis=1)).tolist() == [7]


def test_a_weighted_mean_is_the_weighted_mean_of_probabilities(views):
    weights = np.array([0.5, 0, 0.125, 0.125, 0.25])
    expected = np.einsum("v,vnc->nc", weights, softmax(views))
    np.testing.assert_allclose(np.exp(log_mean_probability(views, weights)), expected)
    even = log_mean_probability(views, [0.2] * 5)
    np.testing.assert_allclose(even, log_mean_probability(views))


def test_geometric_and_mean_of_logits_are_the_same_distribution(views):
    np.testing.assert_allclose(softmax(log_geometric_mean(views)), softmax(mean_logit(views)))
    np.testing.assert_allclose(np.exp(log_geometric_mean(views)).sum(axis=1), 1)


def test_max_is_the_largest_probability_of_each_class(views):
    largest = softmax(views).max(axis=0)
    expected = largest / largest.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(softmax(log_max_probability(views)), expected)


def test_votes_are_counted_and_ties_go_to_the_mean():
    yes, rather_yes, no = [2.0, 0.0], [0.1, 0.0], [0.0, 5.0]
    views = np.array([[yes, yes], [rather_yes, no]])  # (2, 2, 2): two yes; a tie
    shares = softmax(log_votes(views))
    mean = softmax(views).mean(axis=0)
    np.testing.assert_allclose(shares, (np.array([[2, 0], [1, 1]]) + mean) / 3)
    assert shares.argmax(axis=1).tolist() == [0, 1]


def test_two_hesitant_votes_outdo_a_sure_one():
    views = np.array([[[0.1, 0.0]], [[0.1, 0.0]], [[0.0, 9.0]]])
    assert log_votes(views).argmax() == 0
    assert log_mean_probability(views).argmax() == 1
    assert np.isfinite(log_votes(views)).all()
