import numpy as np
import pytest
from scipy.optimize import minimize

from catsdogs.core.errors import DataError
from catsdogs.core.predictions import log_softmax
from catsdogs.evaluation.viewweights import learn_weights, losses, mixture_weights


def views(n: int, noise: tuple[float, ...], *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits (V, N, 2) of views that see the truth through noise of their own."""
    chance = np.random.default_rng(seed)
    labels = chance.integers(0, 2, n)
    truth = 2 * np.eye(2)[labels]
    return np.stack([truth + chance.normal(scale=scale, size=(n, 2)) for scale in noise]), labels


def true_logs(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return log_softmax(logits)[:, np.arange(len(labels)), labels]


def test_good_views_are_found_and_beat_the_mean_on_new_pictures() -> None:
    noise = (0.5, 6.0, 6.0, 0.5)
    learned = learn_weights(*views(800, noise))
    assert learned.weights[[0, 3]].sum() > 0.9
    assert learned.unseen_gain.low > 0.02
    new = true_logs(*views(800, noise, seed=1))
    assert losses(new, learned.weights).mean() < losses(new, np.full(4, 0.25)).mean() - 0.02


def test_weights_are_a_distribution_and_never_worse_than_the_mean_where_they_were_learned() -> None:
    for seed in range(30):
        chance = np.random.default_rng(seed)
        count, n = int(chance.integers(2, 12)), int(chance.integers(10, 60))
        logits, labels = views(n, tuple(chance.uniform(0.2, 8, count)), seed=seed)
        learned = learn_weights(logits, labels)
        assert learned.weights.min() >= 0
        assert learned.weights.sum() == pytest.approx(1)
        true = true_logs(logits, labels)
        assert losses(true, learned.weights).mean() <= losses(true, np.full(count, 1 / count)).mean()
        assert learned.gain >= 0


def test_they_are_the_best_under_the_prior() -> None:
    true = true_logs(*views(200, (0.5, 2.0, 4.0)))

    def penalised(free: np.ndarray) -> float:
        weights = np.exp(free - np.logaddexp.reduce(free))
        return float(losses(true, weights).sum() - 7 * np.log(weights).sum())

    best = minimize(penalised, np.zeros(3), tol=1e-10).x
    np.testing.assert_allclose(
        mixture_weights(true, 7.0), np.exp(best - np.logaddexp.reduce(best)), atol=1e-4
    )


def test_views_that_are_alike_keep_equal_weights() -> None:
    learned = learn_weights(*views(400, (1.0,) * 5))
    np.testing.assert_allclose(learned.weights, 0.2, atol=0.06)
    assert learned.unseen_gain.low < 0.005


def test_a_stronger_prior_stays_nearer_to_the_mean() -> None:
    true = true_logs(*views(100, (0.5, 5.0)))
    first = [mixture_weights(true, strength)[0] for strength in (0.0, 10.0, 1000.0, 1e9)]
    assert first == sorted(first, reverse=True)
    assert first[-1] == pytest.approx(0.5, abs=1e-6)


def test_sure_mistakes_do_not_overflow() -> None:
    logits, labels = views(50, (1.0, 1.0))
    logits[0, 3] = [5000.0, -5000.0] if labels[3] else [-5000.0, 5000.0]
    learned = learn_weights(logits, labels)
    assert np.isfinite(learned.weights).all()
    assert np.isfinite(learned.gain)


@pytest.mark.parametrize(
    ("count", "n", "told"), [(1, 50, "two or more views"), (3, 9, "10 or more labelled")]
)
def test_too_little_is_refused(count: int, n: int, told: str) -> None:
    with pytest.raises(DataError, match=told):
        learn_weights(*views(n, (1.0,) * count))
