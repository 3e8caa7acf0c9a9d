"""Resampled intervals must hold the truth about 95 times in 100, in worlds whose truth is known."""

import math
from functools import partial

import numpy as np
import pytest
import scipy.stats
from truth import covers

from catsdogs.core.estimate import Estimate
from catsdogs.core.predictions import softmax
from catsdogs.core.temperature import log_losses
from catsdogs.evaluation import weighted
from catsdogs.evaluation.metrics import brier_scores
from catsdogs.evaluation.resampling import (
    accelerated_interval,
    bootstrap,
    folded_interval,
    leave_out,
    percentile_interval,
    studentized_interval,
)


def log_loss_of(values: np.ndarray) -> dict:
    return {"mean": lambda counts: weighted.mean(values, counts)}


def test_resamples_draw_as_many_pictures_as_there_are():
    seen = []
    bootstrap({"n": lambda counts: (seen.append(counts), counts.sum(axis=0))[1]}, 30, seed=0, resamples=400)
    counts = np.concatenate(seen, axis=1)
    assert counts.shape == (30, 400)
    assert (counts.sum(axis=0) == 30).all()
    assert counts.mean(axis=1) == pytest.approx(np.ones(30), abs=0.25)
    assert counts.var() == pytest.approx(1 - 1 / 30, abs=0.05)


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    values = np.random.default_rng(1).exponential(size=50)
    first, again, other = (
        bootstrap(log_loss_of(values), 50, seed=seed, resamples=300)["mean"] for seed in (4, 4, 5)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_blocks_do_not_change_the_draws(monkeypatch):
    values = np.random.default_rng(1).exponential(size=50)
    whole = bootstrap(log_loss_of(values), 50, seed=4, resamples=100)["mean"]
    monkeypatch.setattr("catsdogs.evaluation.resampling._BLOCK_CELLS", 50 * 17)
    blocks = bootstrap(log_loss_of(values), 50, seed=4, resamples=100)["mean"]
    np.testing.assert_allclose(blocks, whole, rtol=1e-12)


def test_the_percentile_interval_of_a_mean_holds_the_truth():
    generator, held = np.random.default_rng(0), []
    for seed in range(400):
        losses = generator.exponential(size=150)
        replicates = bootstrap(log_loss_of(losses), 150, seed=seed, resamples=300)["mean"]
        held.append(covers(percentile_interval(losses.mean(), replicates), 1.0))
    assert 0.90 < np.mean(held) < 0.98


def test_the_percentile_interval_of_auroc_holds_the_truth():
    generator, held, once = np.random.default_rng(0), [], np.ones((200, 1))
    labels = np.arange(200) % 2
    truth = 0.5 * (1 + math.erf(1.5 / 2))  # P(N(1.5, 1) > N(0, 1))
    for seed in range(300):
        scores = generator.normal(size=200) + 1.5 * labels
        probabilities = softmax(np.stack([np.zeros(200), scores], axis=1))

        def auroc(counts, probabilities=probabilities):
            return weighted.auroc(probabilities, labels, counts)

        replicates = bootstrap({"auroc": auroc}, 200, seed=seed, resamples=300)["auroc"]
        held.append(covers(percentile_interval(float(auroc(once)[0]), replicates), truth))
    assert 0.90 < np.mean(held) < 0.98


def calibrated(generator: np.random.Generator, n: int, off: float) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are ``off`` too high for the class they name, and labels drawn from the truth."""
    confidence = generator.uniform(0.6 + off, 0.99, size=n)
    right = generator.random(n) < confidence - off
    return np.stack([1 - confidence, confidence], axis=1), right.astype(np.int64)


def folded(generator: np.random.Generator, n: int, off: float, seed: int) -> Estimate:
    probabilities, labels = calibrated(generator, n, off)

    def gaps(counts):
        return weighted.gaps(probabilities, labels, counts)

    replicates = bootstrap({"ece": gaps}, n, seed=seed, resamples=200)["ece"]
    return folded_interval(gaps(np.ones((n, 1)))[0], replicates)


@pytest.mark.parametrize("off", [0.0, 0.03, 0.1])
def test_the_interval_of_ece_holds_the_truth_that_noise_hides(off):
    generator = np.random.default_rng(0)
    held = [covers(folded(generator, 300, off, seed), off) for seed in range(150)]
    assert 0.87 < np.mean(held) <= 1


def accelerated(figures: dict, n: int, seed: int, resamples: int = 400) -> dict[str, Estimate]:
    replicates = bootstrap(figures, n, seed=seed, resamples=resamples)
    left_out = leave_out(figures, n, seed=seed)
    return {
        name: accelerated_interval(float(figure(np.ones((n, 1)))[0]), replicates[name], left_out[name])
        for name, figure in figures.items()
    }


def good_model(generator: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Calibrated logits and labels of a model that is right about 19 times in 20."""
    logits = generator.normal(5, 2.5, n) * np.where(generator.random(n) < 0.5, 1, -1)
    labels = (generator.random(n) < 1 / (1 + np.exp(-logits))).astype(np.int64)
    return np.stack([np.zeros(n), logits], axis=1), labels


def figures_of(logits: np.ndarray, labels: np.ndarray) -> dict:
    shares = softmax(logits)
    return {
        "log_loss": partial(weighted.mean, log_losses(logits, labels)),
        "auroc": partial(weighted.auroc, shares, labels),
        "brier": partial(weighted.mean, brier_scores(shares, labels)),
    }


def test_the_accelerated_interval_holds_the_truth_of_skewed_figures():
    world = figures_of(*good_model(np.random.default_rng(1), 400_000))
    truth = {name: float(figure(np.ones((400_000, 1)))[0]) for name, figure in world.items()}
    held = {name: [] for name in truth}
    for seed in range(200):
        found = accelerated(figures_of(*good_model(np.random.default_rng(seed), 300)), 300, seed)
        for name, estimate in found.items():
            held[name].append(covers(estimate, truth[name]))
    for name, hits in held.items():
        assert 0.90 < np.mean(hits) < 0.99, name


def test_the_accelerated_interval_equals_scipys():
    values = np.random.default_rng(0).exponential(size=80)
    ours = accelerated(log_loss_of(values), 80, 0, resamples=20_000)["mean"]
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.006)


def studentized(values, seed=0, resamples=1000):
    figures = {"mean": partial(weighted.mean, values), "squares": partial(weighted.mean, values**2)}
    drawn = bootstrap(figures, len(values), seed=seed, resamples=resamples)
    return studentized_interval(values, drawn["mean"], drawn["squares"])


@pytest.mark.parametrize(("scale", "n"), [(3, 300), (6, 300), (6, 100), (9, 300)])
def test_the_studentized_interval_holds_the_truth_of_few_large_losses(scale, n):
    def losses(generator, n):
        certainty = generator.normal(scale, scale / 2, n)
        right = generator.random(n) < 1 / (1 + np.exp(-certainty))
        return np.logaddexp(0, np.where(right, -certainty, certainty))

    truth = losses(np.random.default_rng(1), 2_000_000).mean()
    generator = np.random.default_rng(2)
    held = [covers(studentized(losses(generator, n), seed, 400), truth) for seed in range(300)]
    assert 0.91 < np.mean(held) < 0.99


def test_the_studentized_interval_is_bounded_and_defined_for_few():
    same = studentized_interval(np.full(20, 0.3), np.full(9, 0.3), np.full(9, 0.09))
    assert (same.value, same.low, same.high) == pytest.approx((0.3, 0.3, 0.3))
    assert not studentized_interval(np.empty(0), np.empty(0), np.empty(0)).defined
    for n in range(2, 10):
        values = np.random.default_rng(n).exponential(size=n)
        found = studentized(values)
        reach = scipy.stats.t.ppf(0.975, n - 1) * scipy.stats.sem(values)
        assert found.high - found.value == pytest.approx(reach, rel=1e-3)
        assert found.low == pytest.approx(max(values.mean() - reach, 0), rel=1e-3)
    worst = np.array([2.0] * 19 + [0.0])
    found = studentized_interval(worst, np.array([1.7, 1.9]), np.array([3.5, 3.9]), highest=2.0)
    assert found.high <= 2.0


def test_pictures_are_left_out_once_each():
    values = np.arange(7.0)
    left = leave_out(log_loss_of(values), 7, seed=0)["mean"]
    assert sorted(7 * np.mean(values) - 6 * left) == pytest.approx(values.tolist())
    seen = leave_out({"n": lambda counts: (350 - counts).sum(axis=0) * 0 + counts.sum(axis=0)}, 350, seed=1)
    assert sorted(set(seen["n"])) == [346, 347]


def test_replicates_that_do_not_exist_are_left_out():
    replicates = np.array([0.4, math.nan, 0.6, math.nan])
    estimate = percentile_interval(0.5, replicates)
    assert 0.4 <= estimate.low < 0.5 < estimate.high <= 0.6
    assert not percentile_interval(math.nan, np.full(3, math.nan)).defined
    assert not accelerated_interval(math.nan, np.full(3, math.nan), np.full(3, math.nan)).defined
    assert not folded_interval(np.full(2, math.nan), np.full((3, 2), math.nan)).defined


def test_the_limits_leave_out_two_and_a_half_percent_on_either_side():
    replicates = np.linspace(0, 1, 1001)
    assert percentile_interval(0.5, replicates) == Estimate(0.5, pytest.approx(0.025), pytest.approx(0.975))
    even = accelerated_interval(0.5, replicates, np.array([0.4, 0.5, 0.6]))
    assert (even.low, even.high) == pytest.approx((0.025, 0.975), abs=0.002)


def test_an_interval_always_holds_its_value():
    skewed = np.linspace(0.2, 0.3, 50)
    assert percentile_interval(0.1, skewed).low == 0.1
    assert accelerated_interval(0.1, skewed, skewed).low == 0.1
