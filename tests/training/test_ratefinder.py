"""The learning-rate finder on made losses."""

import math

import numpy as np
import pytest

from catsdogs.training.ratefinder import STEPS, find, rising_factor

RATES = [1e-6 * 10 ** (6 * step / 79) for step in range(80)]


@pytest.mark.parametrize("breaking", [1e-4, 1e-3, 1e-2])
@pytest.mark.parametrize("falls", [False, True])
def test_a_tenth_of_where_the_loss_breaks_away(breaking, falls):
    rng = np.random.default_rng(0)
    losses = [
        (0.7 - 0.3 * falls * min(1, rate / breaking) if rate < breaking else 0.7 * (rate / breaking) ** 2)
        + rng.normal(0, 0.05)
        for rate in RATES
    ]
    assert breaking / 12 < find(RATES, losses).found < breaking / 2


def test_a_loss_that_never_breaks_away_finds_nothing():
    assert find(RATES, [0.7] * 80).found is None
    assert find([], []).found is None


def test_a_loss_that_is_no_number_has_broken_away():
    losses = [0.7] * 40 + [math.nan] * 2
    assert find(RATES[:42], losses).found == pytest.approx(RATES[40] / 10)


def test_the_rate_rises_from_a_millionth_to_one():
    factor = rising_factor(1e-4, STEPS)
    rates = [1e-4 * factor(step) for step in range(STEPS)]
    assert rates[0] == pytest.approx(1e-6)
    assert rates[-1] == pytest.approx(1)
    assert np.allclose(np.diff(np.log(rates)), np.log(rates[1] / rates[0]))
