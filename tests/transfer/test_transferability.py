"""LogME against the quantity that it maximises, and what a classifier makes of features."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from catsdogs.transfer.transferability import log_evidence, own_view


def clusters(separation, n=60, width=8, classes=2, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    features = rng.normal(size=(n, width))
    features[:, 0] += separation * labels
    return features, labels


def largest_evidence(features, target):
    """Maximise the marginal likelihood of Bayesian linear regression directly."""
    standard = (features - features.mean(0)) / features.std(0)
    centred = target - target.mean()
    n = len(target)

    def negative(numbers):
        alpha, beta = np.exp(numbers)
        covariance = np.eye(n) / beta + standard @ standard.T / alpha
        return -multivariate_normal(np.zeros(n), covariance).logpdf(centred) / n

    return -minimize(negative, [0.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-4}).fun


@pytest.mark.parametrize("separation", [0.5, 2.0, 6.0])
@pytest.mark.parametrize("width", [3, 8])
def test_it_is_the_largest_marginal_likelihood(separation, width):
    features, labels = clusters(separation, width=width)
    expected = np.mean([largest_evidence(features, (labels == label).astype(float)) for label in (0, 1)])
    assert log_evidence(features, labels, 2) == pytest.approx(expected, abs=0.01)


def test_more_features_than_pictures():
    features, labels = clusters(3.0, n=30, width=100)
    assert np.isfinite(log_evidence(features, labels, 2))


def test_better_features_score_higher_whatever_their_scale():
    values = [log_evidence(clusters(one)[0] * 1e3 + 7, clusters(one)[1], 2) for one in (0, 1, 2, 4, 8)]
    assert values == sorted(values)


def test_three_classes():
    features, labels = clusters(4.0, classes=3)
    assert log_evidence(features, labels, 3) > log_evidence(features[:, 1:], labels, 3)


def test_a_constant_feature_changes_nothing():
    features, labels = clusters(2.0)
    wider = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    assert log_evidence(wider, labels, 2) == pytest.approx(log_evidence(features, labels, 2), abs=0.02)


def test_a_sure_classifier_has_no_entropy_and_an_undecided_one_all_of_it():
    weight = np.eye(20) * 50
    sure = own_view(np.eye(20)[:5], weight, np.zeros(20))
    assert sure.entropy < 1e-3
    assert sure.confidence > 0.99
    undecided = own_view(np.zeros((5, 20)), weight, np.zeros(20))
    assert undecided.entropy == pytest.approx(1)
    assert undecided.confidence == pytest.approx(1 / 20)
    assert undecided.mass == pytest.approx(0.5)
    assert undecided.classes == 20
