"""Merging keeps what one view says, and every merge is a distribution again."""

import numpy as np
import pytest

from catsdogs.core.merging import MERGES, log_mean_probability, mean_logit
from catsdogs.core.predictions import log_softmax, softmax


@pytest.fixture
def views() -> np.ndarray:
    return np.random.default_rng(0).normal(scale=3, size=(5, 40, 3))


@pytest.mark.parametrize("merge", MERGES.values(), ids=MERGES.keys())
def test_one_view_and_equal_views_change_nothing(merge, views):
    one = views[:1]
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
