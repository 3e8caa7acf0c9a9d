"""Strategies and their plans."""

import json

import pytest

from catsdogs.core.errors import ConfigError, DataError
from catsdogs.transfer.strategies import STRATEGIES, FreezePlan, Phase, find_strategy, freeze_plan


def plan(name, groups=6, **options):
    return freeze_plan(find_strategy(name), groups, **{"epochs": 4, **options})


@pytest.mark.parametrize("name", STRATEGIES)
def test_strategies_are_found_by_name(name):
    strategy = find_strategy(name)
    assert strategy.name == name
    assert strategy.summary


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
def test_who_takes_gradient_epochs_has_a_number_of_them_and_a_rate(strategy):
    assert (strategy.epochs > 0) == (strategy.learning_rate > 0)
    assert strategy.epochs or not strategy.trains_backbone
    assert strategy.pretrained or strategy.head == "random"


def test_unknown_strategy_brings_the_known_ones():
    message = f"^strategy 'probe' is not one of auto, {', '.join(STRATEGIES)}$"
    with pytest.raises(ConfigError, match=message):
        find_strategy("probe")


def test_fewer_pictures_are_seen_more_often():
    strategy = find_strategy("finetune_full")
    epochs = [strategy.epochs_for(pictures, 32) for pictures in (0, 10, 100, 1_000, 100_000)]
    assert epochs == sorted(epochs, reverse=True)
    assert epochs[-1] == strategy.epochs
    assert epochs[0] <= 20


class TestFreezePlan:
    PLAN = FreezePlan((Phase(2, (), rate=10.0), Phase(1, (3,), restart=True), Phase(3, (2, 3))))

    def test_counts_its_epochs(self):
        assert self.PLAN.epochs == 6
        assert self.PLAN.starts == (0, 2, 3)

    def test_phase_of_every_epoch_and_beyond(self):
        found = [self.PLAN.phases.index(self.PLAN.phase_at(epoch)) for epoch in range(-1, 8)]
        assert found == [0, 0, 0, 1, 2, 2, 2, 2, 2]

    def test_a_cycle_lasts_until_the_next_restart(self):
        assert [self.PLAN.cycle_at(epoch) for epoch in range(7)] == [(0, 2)] * 2 + [(2, 6)] * 5

    def test_survives_json(self):
        assert FreezePlan.from_list(json.loads(json.dumps(self.PLAN.to_list()))) == self.PLAN

    @pytest.mark.parametrize(
        "damaged", [[{}], [{"epochs": 1, "groups": 3}], [{"epochs": 1, "goups": []}], [1]]
    )
    def test_a_damaged_one_is_named(self, damaged):
        with pytest.raises(DataError, match="phases are damaged"):
            FreezePlan.from_list(damaged)


class TestPlans:
    @pytest.mark.parametrize(
        ("name", "groups"),
        [
            ("linear_probe", ()),
            ("stage_probe", ()),
            ("finetune_top", (4, 5)),
            ("surgical", (0, 1)),
            ("finetune_full", (0, 1, 2, 3, 4, 5)),
            ("norm_and_bias", (0, 1, 2, 3, 4, 5)),
            ("from_scratch", (0, 1, 2, 3, 4, 5)),
        ],
    )
    def test_one_phase(self, name, groups):
        assert plan(name).phases == (Phase(4, groups, norm_and_bias=name == "norm_and_bias"),)

    def test_frozen_epochs_come_first_at_a_higher_rate_and_then_the_schedule_restarts(self):
        first, second = plan("finetune_top", frozen_epochs=3).phases
        assert (first.epochs, first.groups) == (3, ())
        assert first.rate > second.rate == 1
        assert (second.epochs, second.groups, second.restart) == (4, (4, 5), True)

    def test_a_head_alone_has_nothing_to_unfreeze(self):
        assert plan("linear_probe", frozen_epochs=3) == plan("linear_probe")

    @pytest.mark.parametrize("frozen_epochs", [0, 2])
    @pytest.mark.parametrize("per_stage", [1, 2, 5])
    @pytest.mark.parametrize("epochs", [1, 2, 3, 5, 8, 20])
    @pytest.mark.parametrize("groups", [1, 2, 5, 7, 14])
    def test_gradual_unfreezes_from_the_top_to_everything(self, groups, epochs, per_stage, frozen_epochs):
        options = {"epochs": epochs, "epochs_per_stage": per_stage, "frozen_epochs": frozen_epochs}
        found = plan("gradual", groups, **options)
        phases = found.phases[1:] if frozen_epochs else found.phases
        assert found.epochs == epochs + frozen_epochs
        assert all(phase.epochs == per_stage for phase in phases[:-1])
        assert all(phase.groups == tuple(range(phase.groups[0], groups)) for phase in phases)
        lowest = [phase.groups[0] for phase in phases]
        assert lowest == sorted(set(lowest), reverse=True)
        assert lowest[-1] == 0
        assert len(phases) == max(1, min(groups, epochs // per_stage))

    @pytest.mark.parametrize("name", ["finetune_top", "surgical"])
    @pytest.mark.parametrize("count", [0, 7])
    def test_a_count_that_the_backbone_does_not_have(self, name, count):
        with pytest.raises(ConfigError, match=rf"layer_groups must be from 1 to 6 here, not {count}"):
            plan(name, count=count)


def test_a_plan_without_phases_is_damaged():
    with pytest.raises(DataError, match="no phases"):
        FreezePlan.from_list([])
