"""Several models: pooled, spread, and compared without the luck of having been chosen."""

import math

import numpy as np
import pytest

from catsdogs.core.errors import DataError
from catsdogs.core.predictions import Predictions
from catsdogs.evaluation.repeats import Spread, luck_of_choosing, mean_over_pictures, pool


def predictions(ids, first, errors=None):
    logits = np.array([[float(first + place), 0.0] for place in range(len(ids))])
    return Predictions(tuple(ids), ("cat", "dog"), logits, np.zeros(len(ids), dtype=np.int64), errors or {})


def test_pooled_predictions_are_those_of_the_parts_by_id():
    whole = pool([predictions("db", 0, {1: "broken"}), predictions("ca", 10)])
    assert whole.ids == ("a", "b", "c", "d")
    assert whole.logits[:, 0].tolist() == [11, 1, 10, 0]
    assert whole.errors == {1: "broken"}


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(DataError, match="predicted twice"):
        pool([predictions("ab", 0), predictions("bc", 0)])
    other = Predictions(("z",), ("cat", "fox"), np.zeros((1, 2)), np.zeros(1, dtype=np.int64))
    with pytest.raises(DataError, match="different classes"):
        pool([predictions("ab", 0), other])


def test_spread_is_numpys_and_honest_about_one_run():
    values = [0.3, 0.1, 0.25]
    spread = Spread.of(values)
    assert (spread.mean, spread.deviation) == pytest.approx((np.mean(values), np.std(values, ddof=1)))
    assert (spread.low, spread.high) == (0.1, 0.3)
    assert math.isnan(Spread.of([0.5]).deviation)
    assert Spread.of([0.5]).to_dict()["deviation"] is None


def test_the_interval_over_pictures_is_that_of_the_mean():
    values = np.random.default_rng(0).normal(1, 2, 400)
    found = mean_over_pictures(values, seed=0)
    half = 1.96 * values.std() / 20
    assert found.value == pytest.approx(values.mean())
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.1)


def test_the_best_of_many_equals_is_lucky_by_all_of_its_gain():
    gains, lucks = [], []
    for seed in range(10):
        losses = np.random.default_rng(seed).exponential(1, (20, 200))
        best = int(losses.mean(axis=1).argmin())
        gains.append((losses[0] - losses[best]).mean())
        lucks.append(luck_of_choosing(losses, best, seed=seed))
    assert np.mean(gains) > 0.08
    assert np.mean(gains) - np.mean(lucks) == pytest.approx(0, abs=0.05)


def test_a_clear_winner_is_not_lucky():
    losses = np.random.default_rng(0).exponential(1, (3, 300)) + np.array([[1.0], [1.0], [0.0]])
    assert luck_of_choosing(losses, 2, seed=0) == pytest.approx(0, abs=0.02)
    assert luck_of_choosing(losses[:1], 0, seed=0) == 0
