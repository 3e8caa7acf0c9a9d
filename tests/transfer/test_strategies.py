import pytest

from catsdogs.core.errors import ConfigError
from catsdogs.transfer.strategies import STRATEGIES, find_strategy


@pytest.mark.parametrize("name", ["linear_probe", "finetune_full", "from_scratch"])
def test_strategies_are_found_by_name(name: str) -> None:
    strategy = find_strategy(name)
    assert strategy.name == name
    assert strategy.summary


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
def test_who_trains_the_backbone_has_epochs_and_a_rate_and_who_does_not_has_a_probe(strategy) -> None:
    assert (strategy.epochs > 0) == (strategy.learning_rate > 0) == strategy.trains_backbone
    assert strategy.trains_backbone or strategy.head_from_probe


def test_unknown_strategy_brings_the_known_ones() -> None:
    message = r"^strategy 'probe' is not one of linear_probe, finetune_full, from_scratch$"
    with pytest.raises(ConfigError, match=message):
        find_strategy("probe")
