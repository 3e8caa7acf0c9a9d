"""The temperature: found where it is known, careful where it is not, and never a change of mind."""

import math

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from catsdogs.core.errors import DataError
from catsdogs.core.predictions import softmax
from catsdogs.core.temperature import fit_temperature, log_loss, log_losses
from catsdogs.evaluation.metrics import ece


def simulated(n: int, classes: int, temperature: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits that ``logits / temperature`` would make honest, and labels drawn accordingly."""
    generator = np.random.default_rng(seed)
    honest = generator.normal(scale=2.0, size=(n, classes))
    labels = (honest + generator.gumbel(size=honest.shape)).argmax(axis=1)
    return honest * temperature, labels


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_a_known_temperature_is_recovered(temperature, classes):
    logits, labels = simulated(4000, classes, temperature)
    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.06)


def test_it_is_the_minimum():
    logits, labels = simulated(500, 3, 1.7)
    best = fit_temperature(logits, labels)
    losses = [log_loss(logits / (best * factor), labels) for factor in (0.9, 1.0, 1.1)]
    assert losses[1] == min(losses)
    assert losses[1] < log_loss(logits, labels)


@pytest.mark.parametrize("seed", range(3))
def test_an_over_confident_model_learns_modesty_that_other_pictures_confirm(seed):
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(2400, 60))
    labels = (features[:, :5].sum(axis=1) + generator.normal(scale=3, size=2400) > 0).astype(np.int64)
    model = LogisticRegression(C=10).fit(features[:100], labels[:100])
    one = model.decision_function(features)
    logits = np.stack([np.zeros_like(one), one], axis=1)
    (held_out, held_labels), (others, their_labels) = (
        (logits[part], labels[part]) for part in (slice(100, 400), slice(400, None))
    )
    temperature = fit_temperature(held_out, held_labels)
    assert temperature > 2
    for scores, truth in ((held_out, held_labels), (others, their_labels)):
        assert log_loss(scores / temperature, truth) < 0.5 * log_loss(scores, truth)
        assert ece(softmax(scores / temperature), truth) < 0.5 * ece(softmax(scores), truth)


def test_it_never_changes_a_label():
    logits, labels = simulated(3000, 4, 6.0)
    logits = logits.astype(np.float32)
    temperature = fit_temperature(logits, labels)
    np.testing.assert_array_equal((logits / temperature).argmax(axis=1), logits.argmax(axis=1))
    assert temperature > 1


def test_what_does_not_change_the_probabilities_does_not_change_it():
    logits, labels = simulated(300, 3, 2.0)
    expected = fit_temperature(logits, labels)
    assert fit_temperature(logits + np.arange(300)[:, None], labels) == pytest.approx(expected, rel=1e-5)
    order = np.random.default_rng(0).permutation(300)
    assert fit_temperature(logits[order], labels[order]) == pytest.approx(expected, rel=1e-5)
    renamed = np.array([2, 0, 1])  # class c becomes column renamed[c]
    assert fit_temperature(logits[:, np.argsort(renamed)], renamed[labels]) == pytest.approx(
        expected, rel=1e-5
    )


def test_scaled_logits_scale_it_where_pictures_are_many():
    logits, labels = simulated(40_000, 2, 1.0)
    assert fit_temperature(3 * logits, labels) == pytest.approx(3 * fit_temperature(logits, labels), rel=0.01)


@pytest.mark.parametrize("n", [1, 5, 20])
def test_a_small_set_without_a_mistake_stays_modest(n):
    logits = np.tile([4.0, -4.0], (n, 1))
    assert 0.5 < fit_temperature(logits, np.zeros(n, dtype=np.int64)) < 1


def test_a_few_mistakes_among_hundreds_do_not_make_it_sure():
    """Fine-tuned on 1,402 photos a network made two unsure mistakes in 300: T was 0.42, and 0.9 true."""
    logits = np.column_stack((np.concatenate([np.full(298, 5.0), np.full(2, -0.2)]), np.zeros(300)))
    assert 0.7 < fit_temperature(logits, np.zeros(300, dtype=np.int64)) < 1


def test_one_sure_mistake_stays_modest():
    assert 1 < fit_temperature(np.array([[8.0, 0.0]]), np.array([1])) < 8


def test_no_pictures_keep_the_logits_as_they_are():
    assert fit_temperature(np.zeros((0, 2)), np.zeros(0, dtype=np.int64)) == 1.0


@pytest.mark.parametrize("size", [1e4, 1e-4])
def test_extreme_logits_stay_inside_the_limits(size):
    logits, labels = simulated(200, 2, size)
    assert 0.05 <= fit_temperature(logits, labels) <= 20


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_scores_that_are_not_finite_are_refused(bad):
    logits, labels = simulated(10, 2, 1.0)
    logits[3, 1] = bad
    with pytest.raises(DataError, match="1 of 10 are not finite"):
        fit_temperature(logits, labels)


@pytest.mark.parametrize("label", [-1, 2])
def test_a_label_that_is_no_class_is_refused(label):
    with pytest.raises(DataError, match="no label among the classes"):
        fit_temperature(np.zeros((2, 2)), np.array([0, label]))


def test_a_constant_added_to_all_logits_changes_no_loss():
    logits, labels = simulated(50, 3, 1.0)
    np.testing.assert_allclose(log_losses(logits + 1e3, labels), log_losses(logits, labels))
    assert log_loss(logits, labels) == pytest.approx(-np.log(softmax(logits)[np.arange(50), labels]).mean())


def test_a_saturated_mistake_costs_what_it_costs():
    assert log_losses(np.array([[1e4, -1e4], [-1e4, 1e4]]), np.array([1, 1])).tolist() == [2e4, 0.0]
