"""Parameter groups, and the rate of each."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HeadSpec
from catsdogs.models.layergroups import LayerGroup
from catsdogs.training.optimizers import (
    HEAD,
    parameter_groups,
    rate_factor,
    training_parameters,
)
from catsdogs.training.recipe import Recipe, Schedule, Solver
from catsdogs.training.schedules import schedule_factor
from catsdogs.transfer.strategies import FreezePlan, Phase

GROUPS = (
    LayerGroup("0", ("0.weight", "0.bias")),
    LayerGroup("1", ("1.weight", "1.bias")),
    LayerGroup("2", ("2.weight", "2.bias")),
)
# The head alone; then the last group; then the last two, with the schedule going on.
PLAN = FreezePlan((Phase(2, (), rate=10.0), Phase(1, (2,), restart=True), Phase(3, (1, 2))))

RECIPE = Recipe(
    epochs=PLAN.epochs,
    learning_rate=1e-3,
    head_rate=1.0,
    layer_decay=1.0,
    batch_size=8,
    patience_epochs=0,
    seed=0,
    solver=Solver(weight_decay=0.1),
)
SCHEDULE = Schedule(warmup=0.1)


def network():
    backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3))
    return ImageClassifier(backbone, build_head(4, 2, HeadSpec()), PreprocessSpec(8, 8))


def grouped(classifier, plan=PLAN, **options):
    return parameter_groups(classifier, GROUPS, plan, replace(RECIPE, **options))


def by_tensor(groups, key):
    return {id(p): group[key] for group in groups for p in group["params"]}


def test_every_tensor_that_ever_trains_is_held_once_whatever_is_frozen_now():
    classifier = network()
    classifier.set_trainable(())
    held = [id(p) for group in grouped(classifier) for p in group["params"]]
    wanted = [*classifier.backbone[1:].parameters(), *classifier.head.parameters()]
    assert sorted(held) == sorted(map(id, wanted))


def test_what_trains_in_an_epoch_and_in_any():
    classifier = network()
    assert training_parameters(classifier, GROUPS, PLAN, 1) == set()
    assert training_parameters(classifier, GROUPS, PLAN, 2) == {"2.weight", "2.bias"}
    ever = {"1.weight", "1.bias", "2.weight", "2.bias"}
    assert training_parameters(classifier, GROUPS, PLAN, 5) == ever
    assert training_parameters(classifier, GROUPS, PLAN) == ever


def test_norms_and_biases_do_not_decay_and_the_head_has_its_own_rate():
    classifier = network()
    groups = grouped(classifier, FreezePlan((Phase(1, (0, 1, 2)),)), head_rate=10)
    decay, rate = by_tensor(groups, "weight_decay"), by_tensor(groups, "lr")
    first, norm, _ = classifier.backbone
    assert (decay[id(first.weight)], rate[id(first.weight)]) == (0.1, 1e-3)
    assert (decay[id(first.bias)], rate[id(first.bias)]) == (0, 1e-3)
    assert (decay[id(norm.weight)], rate[id(norm.weight)]) == (0, 1e-3)
    assert (decay[id(classifier.head.fc.weight)], rate[id(classifier.head.fc.weight)]) == (0.1, 1e-2)
    assert (decay[id(classifier.head.fc.bias)], rate[id(classifier.head.fc.bias)]) == (0, 1e-2)


def test_each_group_learns_slower_than_the_one_above_it():
    groups = grouped(network(), FreezePlan((Phase(1, (0, 1, 2)),)), layer_decay=0.5)
    rates = {group["layer_group"]: group["lr"] for group in groups}
    assert rates == pytest.approx({HEAD: 1e-3, 2: 5e-4, 1: 2.5e-4, 0: 1.25e-4})


class TestRateFactor:
    STEPS = 10

    def factors(self, plan, group, **options):
        factor = rate_factor(plan, group, **{"steps_per_epoch": self.STEPS, "schedule": SCHEDULE, **options})
        return [factor(step) for step in range(plan.epochs * self.STEPS)]

    @pytest.mark.parametrize("group", [0, 1, 2, HEAD])
    def test_is_zero_exactly_while_frozen(self, group):
        for step, factor in enumerate(self.factors(PLAN, group)):
            phase = PLAN.phase_at(step // self.STEPS)
            assert (factor > 0) == (group == HEAD or group in phase.groups), step

    def test_one_phase_is_warmup_and_cosine(self):
        plan = FreezePlan((Phase(4, (0,)),))
        expected = [schedule_factor(SCHEDULE, step, total_steps=40) for step in range(40)]
        assert self.factors(plan, HEAD) == self.factors(plan, 0) == expected

    def test_starts_again_where_a_phase_says_so_and_goes_on_where_none_does(self):
        first = [10 * schedule_factor(SCHEDULE, step, total_steps=20) for step in range(20)]
        second = [schedule_factor(SCHEDULE, step, total_steps=40) for step in range(40)]
        assert self.factors(PLAN, HEAD) == pytest.approx(first + second)
        assert self.factors(PLAN, 1)[30:] == pytest.approx(second[10:])

    def test_all_groups_that_train_share_one_schedule(self):
        head = self.factors(PLAN, HEAD)
        assert self.factors(PLAN, 2)[20:] == head[20:]
        assert self.factors(PLAN, 1)[30:] == head[30:]

    def test_a_run_that_ends_sooner_comes_down_sooner(self):
        plan = FreezePlan((Phase(4, ()),))
        short = self.factors(plan, HEAD, most_steps=20)
        assert short[:20] == [schedule_factor(SCHEDULE, step, total_steps=20) for step in range(20)]

    def test_the_step_after_the_last_is_asked_for_too(self):
        factor = rate_factor(PLAN, HEAD, steps_per_epoch=self.STEPS, schedule=SCHEDULE)
        assert factor(PLAN.epochs * self.STEPS) == pytest.approx(0)

    def test_drives_an_optimizer_as_a_scheduler(self):
        groups = grouped(network())
        optimizer = torch.optim.AdamW(groups, lr=1.0)
        factors = [rate_factor(PLAN, g["layer_group"], steps_per_epoch=2, schedule=SCHEDULE) for g in groups]
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factors)
        for step in range(2 * PLAN.epochs):
            phase = PLAN.phase_at(step // 2)
            for group in optimizer.param_groups:
                trains = group["layer_group"] in (HEAD, *phase.groups)
                assert (group["lr"] > 0) == trains
            optimizer.step()
            scheduler.step()
