import math

import numpy as np
import pytest
from benchmarks.regret_figures import (
    ACCURACY,
    LOG_LOSS,
    SIZE_ONLY,
    cells_of,
    mean_with_interval,
    size_only,
)
from benchmarks.regret_table import advantage, markdown, mean_regret, verdicts
from benchmarks.results import Result


def result(strategy, a, b, *, seed=0, cell="kaggle-20", losses=(1.0, 1.0), seconds=10.0, **values):
    values = {"picked": strategy, "n_train": 20, **values}
    return Result(
        cell,
        seed,
        strategy,
        accuracy_a=a,
        accuracy_b=b,
        log_loss_a=losses[0],
        log_loss_b=losses[1],
        seconds=seconds,
        **values,
    )


def only(*results):
    (cell,) = cells_of(results)
    return cell


def test_the_winner_of_one_half_is_compared_on_the_other():
    cell = only(
        result("linear_probe", 0.99, 0.80), result("svm_probe", 0.90, 0.95), result("auto", 0.97, 0.90)
    )
    assert [cell.winner(ACCURACY, half) for half in (0, 1)] == ["linear_probe", "svm_probe"]
    # On b the winner of a has 0.80, auto 0.90; on a the winner of b has 0.90, auto 0.97.
    assert cell.regrets("auto", ACCURACY)[0] == pytest.approx([-0.07, -0.10])


def test_auto_and_the_size_only_rule_win_nothing():
    cell = only(result("linear_probe", 0.5, 0.5), result("auto", 0.9, 0.9))
    assert cell.winner(ACCURACY, 0) == "linear_probe"


def test_the_winner_has_the_best_mean_over_seeds():
    cell = only(
        result("linear_probe", 0.90, 0.9), result("linear_probe", 0.90, 0.9, seed=1),
        result("svm_probe", 0.99, 0.9), result("svm_probe", 0.80, 0.9, seed=1),
    )  # fmt: skip
    assert cell.winner(ACCURACY, 0) == "linear_probe"


def test_equal_accuracies_are_told_apart_by_log_loss():
    cell = only(
        result("linear_probe", 0.9, 0.9, losses=(0.3, 0.3)), result("svm_probe", 0.9, 0.9, losses=(0.2, 0.4))
    )
    assert [cell.winner(ACCURACY, half) for half in (0, 1)] == ["svm_probe", "linear_probe"]


def test_the_winner_in_log_loss_is_its_own():
    cell = only(
        result("linear_probe", 0.9, 0.9, losses=(0.5, 0.5)),
        result("svm_probe", 0.8, 0.8, losses=(0.2, 0.3)),
        result("auto", 0.9, 0.9, losses=(0.4, 0.4)),
    )
    assert cell.winner(LOG_LOSS, 0) == "svm_probe"
    assert cell.regrets("auto", LOG_LOSS)[0] == pytest.approx([0.2, 0.1])


@pytest.mark.parametrize(
    ("pictures", "name"), [(20, "linear_probe"), (999, "linear_probe"), (1000, "finetune_full")]
)
def test_the_size_only_rule_takes_the_figures_of_the_run_that_it_names(pictures, name):
    assert size_only(pictures) == name
    linear, full = (
        result(strategy, accuracy, accuracy, n_train=pictures)
        for strategy, accuracy in (("linear_probe", 0.9), ("finetune_full", 0.8))
    )
    cell = only(linear, full)
    assert (cell.costs(SIZE_ONLY, ACCURACY) == cell.costs(name, ACCURACY)).all()


def test_a_seed_counts_when_no_strategy_is_missing():
    cell = only(
        result("linear_probe", 0.9, 0.9), result("linear_probe", 0.1, 0.1, seed=1), result("auto", 0.8, 0.8)
    )
    assert cell.seeds == (0,)
    assert cell.costs("linear_probe", ACCURACY) == pytest.approx(np.array([[0.1, 0.1]]))


def test_time_is_compared_with_the_choice_or_the_dearer_candidate():
    runs = [result("linear_probe", 0.9, 0.9, seconds=2), result("finetune_full", 0.9, 0.9, seconds=20)]
    chosen = result("auto", 0.9, 0.9, seconds=3, picked="linear_probe")
    assert only(*runs, chosen).time_ratio() == 1.5
    contest = result(
        "auto", 0.9, 0.9, seconds=30, picked="linear_probe", candidates="linear_probe finetune_full"
    )
    assert only(*runs, contest).time_ratio() == 1.5
    assert math.isnan(only(*runs, result("auto", 0.9, 0.9, picked="gradual")).time_ratio())


def test_the_interval_is_students():
    values = np.array([[1.0, 2.0], [3.0, 2.0], [4.0, 0.0]])
    found = mean_with_interval([values])
    assert found.value == 2
    assert found.high - 2 == pytest.approx(2.5706 * values.std(ddof=1) / math.sqrt(6), rel=1e-4)


def test_equal_groups_add_up_like_one_of_their_size():
    values = np.array([[1.0, -1.0], [2.0, -2.0]])
    one, two = mean_with_interval([values]), mean_with_interval([values, values])
    assert two.value == one.value == 0
    # Half the variance, and twice the degrees of freedom.
    assert two.high / one.high == pytest.approx(2.4469 / 3.1824 / math.sqrt(2), rel=1e-4)


def test_no_spread_means_no_width():
    found = mean_with_interval([np.zeros((3, 2)), np.full((3, 2), 2.0)])
    assert (found.value, found.low, found.high) == (1, 1, 1)


@pytest.mark.parametrize("seed_spread", [0.0, 0.005])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(seed_spread):
    draw = np.random.default_rng(1)
    held = 0
    for _ in range(1000):
        model = draw.normal(0, seed_spread, (3, 1))
        held += abs((found := mean_with_interval([model + draw.normal(0, 0.01, (3, 2))])).value) <= (
            found.high - found.value
        )
    assert 0.9 <= held / 1000 <= 0.98


def two_cells():
    """In one cell the linear probe is best, in the other fine-tuning; auto knows."""
    for cell, best in (("kaggle-20", "linear_probe"), ("xray-800", "finetune_full")):
        for seed in range(3):
            for name in ("linear_probe", "finetune_full"):
                accuracy = 0.9 if name == best else 0.7
                yield result(name, accuracy, accuracy, cell=cell, seed=seed)
            yield result("auto", 0.9, 0.9, cell=cell, seed=seed, picked=best, seconds=12)


def test_a_rule_that_fails_in_one_cell_regrets_it_on_average():
    cells = cells_of(two_cells())
    assert mean_regret(cells, "linear_probe", ACCURACY).value == pytest.approx(0.1)
    assert mean_regret(cells, "auto", ACCURACY).value == pytest.approx(0)
    assert advantage(cells, "linear_probe", ACCURACY).value == pytest.approx(0.1)


def test_the_verdict_names_what_is_wrong():
    good, bad = (
        cells_of(two_cells()),
        cells_of([*two_cells(), *(result("auto", 0.8, 0.8 - seed / 100, seed=seed) for seed in range(3))]),
    )
    assert "wholly above 1 point: none" in verdicts(good)[1]
    assert "1.20 times" in verdicts(good)[-1]
    assert "wholly above 1 point: kaggle-20" in verdicts(bad)[1]
    assert "at least as good as `auto` on average, in accuracy: none" in verdicts(good)[2]


def test_the_tables_are_markdown():
    lines = markdown(list(two_cells())).splitlines()
    columns = {line.count("|") for line in lines if line.startswith("| kaggle-20")}
    assert columns == {6, 12}
    assert any(line.startswith("| size only | 2 | 10.00 (") for line in lines)


def test_the_table_of_nothing_is_empty_but_whole():
    assert markdown([]).startswith("### Accuracy")
