"""Schedules as they rise and fall, against torch's own where torch has them."""

import math
from typing import get_type_hints

import pytest
import torch
from small import STEPS, Steps, learn
from torch.optim import lr_scheduler

from catsdogs.core.errors import ConfigError
from catsdogs.training.recipe import Schedule, Solver
from catsdogs.training.schedules import cycled_momentum, schedule_factor

NAMES = get_type_hints(Schedule)["name"].__args__


def factors(steps, **options):
    return [schedule_factor(Schedule(**options), step, total_steps=steps) for step in range(steps)]


def torchs(kind, steps, **options):
    """Return the factors and the momenta of a schedule of torch."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0, momentum=0.9)
    schedule = kind(optimizer, **options)
    found = []
    for _ in range(steps):
        found.append((optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]))
        optimizer.step()
        schedule.step()
    return [list(column) for column in zip(*found, strict=True)]


@pytest.mark.parametrize(
    ("options", "kind", "reference"),
    [
        ({"name": "constant"}, lr_scheduler.ConstantLR, {"factor": 1.0}),
        ({"name": "step", "drops": 3}, lr_scheduler.StepLR, {"step_size": 10}),
        ({"name": "step", "factor": 0.5, "drops": 1}, lr_scheduler.StepLR, {"step_size": 20, "gamma": 0.5}),
        ({"name": "exponential"}, lr_scheduler.ExponentialLR, {"gamma": 0.01 ** (1 / 40)}),
        ({"name": "linear"}, lr_scheduler.LinearLR, {"start_factor": 1, "end_factor": 0, "total_iters": 40}),
        ({"name": "cosine"}, lr_scheduler.CosineAnnealingLR, {"T_max": 40}),
    ],
)
def test_after_the_warmup_it_is_torchs(options, kind, reference):
    alone = factors(40, warmup=0.0, **options)
    assert alone == pytest.approx(torchs(kind, 40, **reference)[0], abs=1e-6)
    warmed = factors(50, warmup=0.2, **options)
    assert warmed[10:] == pytest.approx(alone)
    assert warmed[:10] == pytest.approx([(step + 1) / 11 for step in range(10)])


@pytest.mark.parametrize("warmup", [None, 0.5])
def test_one_cycle_is_torchs_with_its_momenta(warmup):
    schedule = Schedule(name="one_cycle", warmup=warmup)
    pct = 0.3 if warmup is None else warmup
    rates, momenta = torchs(lr_scheduler.OneCycleLR, 40, max_lr=1.0, total_steps=41, pct_start=pct)
    steps = range(40)
    assert [schedule_factor(schedule, step, total_steps=41) for step in steps] == pytest.approx(
        rates, abs=1e-6
    )
    assert [cycled_momentum(schedule, step, total_steps=41) for step in steps] == pytest.approx(momenta)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_the_shortest_runs_have_positive_rates(name, steps):
    for warmup in (None, 0.0, 0.9):
        found = factors(steps, name=name, warmup=warmup)
        assert all(0 < factor <= 1 for factor in found)
        assert math.isfinite(schedule_factor(Schedule(name=name, warmup=warmup), steps, total_steps=steps))


@pytest.mark.parametrize(("solver", "option"), [("adamw", "betas"), ("momentum", "momentum"), ("sgd", None)])
def test_one_cycle_cycles_momentum_in_training(tmp_path, solver, option):
    steps = Steps()
    learn(tmp_path, steps, epochs=5, solver=Solver(name=solver), schedule=Schedule(name="one_cycle"))
    total = 5 * STEPS
    if option is None:
        assert set(steps.momenta) == {0}
        return
    expected = [cycled_momentum(Schedule(name="one_cycle"), step, total_steps=total) for step in range(total)]
    assert steps.momenta == pytest.approx(expected)
    assert steps.momenta[0] == pytest.approx(0.95)
    assert min(steps.momenta) == pytest.approx(0.85)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"warmup": 1.0}, "--schedule.warmup must be in"),
        ({"factor": 1.0}, "--schedule.factor must be between 0 and 1, not 1.0"),
        ({"drops": 0}, "--schedule.drops must be 1 or more"),
        ({"patience_epochs": 0}, "--schedule.patience_epochs must be 1 or more"),
    ],
)
def test_what_no_schedule_can_use_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        Schedule(**options)
