"""Plateau: rates fall when validation stops improving, and a resumed run knows how far they had fallen."""

import pytest
import torch
from small import STEPS, Steps, learn, points

from catsdogs.training.plateau import DropOnPlateau
from catsdogs.training.recipe import Schedule
from catsdogs.training.schedules import schedule_factor
from catsdogs.transfer.strategies import FreezePlan, Phase

SCHEDULE = Schedule(name="plateau", warmup=0.25, patience_epochs=2)
ONE = FreezePlan((Phase(8, ()),))


def rates(folder, plan, *, flipped, schedule=SCHEDULE, **more):
    """Return the rate of each step; ``flipped`` makes validation worse with everything that is learned."""
    steps = Steps()
    drop = DropOnPlateau(schedule, plan)
    val = points(1, flipped=flipped)
    task = learn(folder, steps, drop, plan=plan, schedule=schedule, learning_rate=0.01, val=val, **more)
    return steps.rates, task


def epochs(found):
    """Return the highest rate of each epoch."""
    return [max(found[start : start + STEPS]) for start in range(0, len(found), STEPS)]


def test_rates_fall_after_the_patience_on_top_of_the_warmup(tmp_path):
    """Two epochs warm up and do not count; the third is the best; two in vain, then a tenth, twice."""
    found, _ = rates(tmp_path, ONE, flipped=True)
    warm = [0.01 * schedule_factor(SCHEDULE, step, total_steps=8 * STEPS) for step in range(2 * STEPS)]
    assert found[: 2 * STEPS] == pytest.approx(warm)
    assert epochs(found)[2:] == pytest.approx([0.01, 0.01, 0.01, 0.001, 0.001, 0.0001])


def test_rates_stay_while_validation_improves(tmp_path):
    found, _ = rates(tmp_path, ONE, flipped=False)
    assert set(epochs(found)[2:]) == {0.01}


def test_each_cycle_of_a_plan_begins_with_the_full_rates(tmp_path):
    plan = FreezePlan((Phase(4, (), rate=10.0), Phase(3, (), restart=True)))
    eager = Schedule(name="plateau", warmup=0.0, patience_epochs=1, factor=0.5)
    found, _ = rates(tmp_path, plan, flipped=True, schedule=eager)
    assert epochs(found) == pytest.approx([0.1, 0.1, 0.05, 0.025, 0.01, 0.01, 0.005])


def test_a_resumed_run_goes_on_with_the_rates_and_the_patience_it_had(tmp_path):
    """Killed in each epoch from the first drop on, it must drop again when the whole run does."""
    kept = {}

    class Keep(Steps):
        def on_train_epoch_start(self, trainer, pl_module):
            if trainer.current_epoch in (5, 6):
                kept[trainer.current_epoch] = tmp_path / f"{trainer.current_epoch}.ckpt"
                kept[trainer.current_epoch].write_bytes((tmp_path / "last.ckpt").read_bytes())

    keep, val = Keep(), points(1, flipped=True)
    more = {"plan": ONE, "schedule": SCHEDULE, "learning_rate": 0.01, "val": val}
    whole = learn(tmp_path, keep, DropOnPlateau(SCHEDULE, ONE), **more)
    for epoch, checkpoint in kept.items():
        found, again = rates(tmp_path / str(epoch), ONE, flipped=True, checkpoint=checkpoint)
        assert found == keep.rates[epoch * STEPS :]
        for name, value in whole.classifier.state_dict().items():
            assert torch.equal(value, again.classifier.state_dict()[name])
