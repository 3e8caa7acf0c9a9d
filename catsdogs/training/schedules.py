"""Schedules: factors on the learning rate as pure functions of the step."""

from __future__ import annotations

import math

from catsdogs.training.recipe import Schedule


def schedule_factor(schedule: Schedule, step: int, *, total_steps: float) -> float:
    """Return the factor on the learning rate at a step of one cycle, in [0, 1].

    Args:
        schedule: Which, and how long the rate rises before.
        step: From 0; the first already has a positive rate.
        total_steps: Of the cycle.

    Source: Loshchilov & Hutter 2017, SGDR, equation 5 (one cycle); Goyal et al. 2017, section 2.2 (warm-up).
    """
    warmup_steps = round(schedule.warmup * total_steps)
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    done = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
