"""Schedules: factors on the learning rate, and momenta, as pure functions of the step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from catsdogs.training.recipe import Schedule

# Smith 2018, sections 4.1 and 4.3; the numbers are torch's and fastai's.
_FIRST, _LAST = 1 / 25, 1 / 25 / 1e4
_MOMENTA = (0.95, 0.85)

_SHAPES: Mapping[str, Callable[[Schedule, float], float]] = {
    "constant": lambda _its, _done: 1.0,
    "plateau": lambda _its, _done: 1.0,
    "step": lambda its, done: its.factor ** min(its.drops, math.floor(done * (its.drops + 1) + 1e-9)),
    "exponential": lambda its, done: its.factor ** (its.drops * done),
    "linear": lambda _, done: 1 - done,
    "cosine": lambda _, done: _wave(1.0, 0.0, done),
}


def schedule_factor(schedule: Schedule, step: int, *, total_steps: float) -> float:
    """Return the factor on the learning rate at a step of one cycle, in [0, 1].

    Args:
        schedule: Which, and how long the rate rises before.
        step: From 0; the first already has a positive rate.
        total_steps: Of the cycle.

    Source: Loshchilov & Hutter 2017, SGDR, equation 5 (one cycle of cosine); Goyal et al. 2017, section 2.2
    (warm-up); Smith 2018, A disciplined approach (one_cycle, with the half waves that fastai and torch have).
    """
    if schedule.name == "one_cycle":
        return _one_cycle(schedule, step, total_steps, (_FIRST, 1.0, _LAST))
    warmup_steps = round(schedule.warmup_share * total_steps)
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    done = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return _SHAPES[schedule.name](schedule, min(1.0, done))


def cycled_momentum(schedule: Schedule, step: int, *, total_steps: float) -> float | None:
    """Return the momentum at a step of one cycle; None where the schedule leaves it alone.

    It falls while the rate rises and rises while it falls, which keeps their product near the best one (Smith
    2018, section 4.3).
    """
    if schedule.name != "one_cycle":
        return None
    high, low = _MOMENTA
    return _one_cycle(schedule, step, total_steps, (high, low, high))


def _one_cycle(schedule: Schedule, step: int, steps: float, values: tuple[float, float, float]) -> float:
    """Go from the first of three values to the second during the warm-up, and to the third after it."""
    top = max(0.0, schedule.warmup_share * steps - 1)
    if step < top:
        return _wave(values[0], values[1], step / top)
    return _wave(values[1], values[2], min(1.0, (step - top) / max(1.0, steps - 1 - top)))


def _wave(start: float, end: float, done: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * done))
