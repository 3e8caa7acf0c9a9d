"""Schedules as they rise and fall."""

import math

import pytest

from catsdogs.training.recipe import Schedule
from catsdogs.training.schedules import schedule_factor


def test_warmup_rises_to_one_and_the_cosine_falls_to_zero():
    factors = [schedule_factor(Schedule(warmup=0.1), step, total_steps=100) for step in range(101)]
    assert factors[0] > 0
    assert factors[:11] == sorted(factors[:11])
    assert factors[10] == 1
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert factors[55] == pytest.approx(0.5 * (1 + math.cos(math.pi / 2)))
    assert factors[100] == pytest.approx(0)


@pytest.mark.parametrize("steps", [1, 2])
def test_the_shortest_runs_have_a_positive_first_rate(steps):
    assert schedule_factor(Schedule(warmup=0.1), 0, total_steps=steps) > 0
