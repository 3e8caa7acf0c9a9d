"""The search space: what is drawn matters to the strategy, and what was given stays."""

import random
from dataclasses import replace

import pytest
from optuna.trial import FixedTrial

from catsdogs.core.errors import ConfigError
from catsdogs.data.presets import AugmentationSettings
from catsdogs.training.recipe import Solver
from catsdogs.transfer.strategies import STRATEGIES
from catsdogs.workflows.settings import ModelSettings, TrainSettings, TransferSettings
from catsdogs.workflows.tuning.searchspace import DIMENSIONS, STRATEGIES_TRIED, search_space

ALL = tuple(DIMENSIONS)


class Chance:
    """Draws like Optuna's trials, and remembers what it was asked."""

    def __init__(self, seed):
        self.random, self.asked = random.Random(seed), {}

    def suggest_categorical(self, name, choices):
        self.asked[name] = self.random.choice(choices)
        return self.asked[name]

    def suggest_float(self, name, low, high, *, log=False):
        self.asked[name] = self.random.uniform(low, high)
        return self.asked[name]


def drawn(space, count=200):
    for seed in range(count):
        chance = Chance(seed)
        yield chance.asked, space.draw(chance)


def test_only_what_matters_to_a_strategy_is_drawn():
    space = search_space(TrainSettings(), ALL, STRATEGIES_TRIED)
    asked_by = {}
    for asked, settings in drawn(space):
        key = (settings.transfer.strategy, settings.model.head)
        assert asked_by.setdefault(key, set(asked)) == set(asked)
        assert set(space.values(settings)) == set(asked)
    gradients = {"strategy", "learning_rate", "weight_decay", "dropout", "label_smoothing"}
    assert asked_by["svm_probe", "linear"] == {"strategy"}
    assert asked_by["linear_probe", "linear"] == {"strategy", "head"}
    assert asked_by["stage_probe", "mlp"] == gradients | {"head"}
    assert asked_by["finetune_full", "linear"] == gradients | {"augmentation", "layer_decay"}
    assert {name for name, _ in asked_by} == set(STRATEGIES_TRIED)


def test_rates_lie_around_the_strategys_own_and_have_few_digits():
    space = search_space(TrainSettings(), ("strategy", "learning_rate"), ("norm_and_bias", "finetune_full"))
    for asked, settings in drawn(space):
        rate = settings.transfer.learning_rate
        usual = STRATEGIES[settings.transfer.strategy].learning_rate
        assert rate == pytest.approx(usual * asked["learning_rate"], rel=0.01)
        assert len(f"{rate:e}".partition("e")[0].rstrip("0")) <= 4


def test_each_strategy_comes_first_with_its_usual_numbers():
    space = search_space(TrainSettings(), ALL, STRATEGIES_TRIED)
    for name, usual in zip(STRATEGIES_TRIED, space.usual, strict=True):
        settings = space.draw(FixedTrial(usual))
        plain = replace(TrainSettings(), transfer=TransferSettings(strategy=name))
        strategy = STRATEGIES[name]
        assert settings.transfer.strategy == name
        assert settings.transfer.learning_rate in (None, strategy.learning_rate)
        assert settings.solver.decay == plain.solver.decay
        assert (settings.model, settings.augmentation, settings.loss) == (
            plain.model,
            plain.augmentation,
            plain.loss,
        )
    assert search_space(plain, ALL, ()).usual == []


def test_what_was_given_stays_as_it_is():
    given = TrainSettings(
        transfer=TransferSettings(strategy="finetune_full", learning_rate=3e-4, epochs=7),
        model=ModelSettings(dropout=0.2),
        augmentation=AugmentationSettings(rotation=30.0),
    )
    for asked, settings in drawn(search_space(given, ALL, ("linear_probe",)), 20):
        assert set(asked) == {"weight_decay", "label_smoothing", "layer_decay"}
        assert settings.transfer.strategy == "finetune_full"
        assert (settings.transfer.learning_rate, settings.transfer.epochs) == (3e-4, 7)
        assert (settings.model.dropout, settings.augmentation) == (0.2, given.augmentation)


def test_a_line_search_has_no_rate_and_no_dropout():
    head = TrainSettings(
        transfer=TransferSettings(strategy="linear_probe"),
        model=ModelSettings(head="mlp"),
        solver=Solver("lbfgs"),
    )
    for asked, _ in drawn(search_space(head, ALL, ()), 5):
        assert "label_smoothing" in asked
        assert not {"learning_rate", "dropout"} & set(asked)


@pytest.mark.parametrize(
    ("settings", "space", "strategies", "said"),
    [
        (TrainSettings(), ("rate",), STRATEGIES_TRIED, "--space: 'rate' is not one of strategy, head"),
        (TrainSettings(), ("dropout",), STRATEGIES_TRIED, "--space without strategy needs the one to keep"),
        (TrainSettings(), ALL, ("nope",), "strategy 'nope' is not one of"),
        (TrainSettings(), ALL, (), "--strategies names none"),
        (TrainSettings(), ("strategy", "dropout"), ("svm_probe",), "there is nothing to search"),
        (
            TrainSettings(augmentation=AugmentationSettings(cutmix=1.0)),
            ALL,
            ("finetune_full", "linear_probe"),
            "--augmentation.cutmix cuts pictures, but the head of linear_probe",
        ),
    ],
)
def test_a_space_that_cannot_be_is_refused_before_any_trial(settings, space, strategies, said):
    with pytest.raises(ConfigError, match=said):
        search_space(settings, space, strategies)
