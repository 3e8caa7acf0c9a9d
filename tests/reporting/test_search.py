"""What a search says of itself: the gain, the luck in it, and a figure of it all."""

import csv

import pytest

from catsdogs.core.estimate import Estimate
from catsdogs.reporting.search import Tried, Verdict, draw_search, write_trials

RATES = {"strategy": "finetune_full", "learning_rate": 1e-4}


def verdict(gain, luck, best=3):
    low, high = gain - 0.01, gain + 0.01
    return Verdict(9, 7, 300, best, RATES, 0.04, 0.04 + gain, Estimate(gain, low, high), luck)


def test_a_gain_that_is_luck_is_called_noise():
    lucky, real = verdict(0.012, 0.005), verdict(0.02, 0.005)
    assert lucky.gain.low > 0
    assert (lucky.within_noise, real.within_noise) == (True, False)
    assert lucky.sentences[1].endswith("this is within the noise")
    assert real.sentences[1].endswith("expect 0.0150 (95 % 0.0050 to 0.0250): this is more than noise")
    assert real.to_dict()["expected_gain"]["low"] == pytest.approx(0.005)


def test_nothing_better_is_said():
    assert verdict(0, 0, best=0).sentences == [
        "nothing that was tried is better than the settings as given (log loss 0.0400 on 300 pictures)"
    ]
    assert all(line.startswith("# ") for line in verdict(0.1, 0).comment.splitlines())


TRIED = [
    Tried(0, "done", 0.5, 3.0, {"strategy": "auto"}),
    Tried(1, "done", 0.3, 4.0, RATES),
    Tried(2, "pruned", None, 1.0, {"strategy": "finetune_full", "learning_rate": 1e-2}),
    Tried(3, "done", 9.0, 4.0, {"strategy": "finetune_full", "learning_rate": 1e-3}),
    Tried(4, "done", 0.3, 0.0, RATES, same_as=1),
    Tried(5, "unfinished", None, None, {}),
]


def test_the_figure_shows_every_trial_and_what_varied():
    figure = draw_search(TRIED)
    history, *slices = [axes for axes in figure.axes if axes.axison]
    labels = history.get_legend_handles_labels()[1]
    assert {"auto", "finetune_full", "best so far", "settings as given", "pruned or diverged"} <= set(labels)
    assert [axes.get_xlabel() for axes in slices] == ["strategy", "learning rate"]
    assert slices[1].get_xscale() == "log"
    low, high = history.get_ylim()
    assert low < 0.3 < 0.5 < high < 9


def test_a_search_without_any_loss_but_the_first_can_be_drawn():
    assert len([axes for axes in draw_search(TRIED[:1]).axes if axes.axison]) == 1


def test_the_table_has_a_row_a_trial(tmp_path):
    write_trials(TRIED, tmp_path / "trials.csv")
    with (tmp_path / "trials.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["state"] for row in rows] == [one.state for one in TRIED]
    assert rows[0]["learning_rate"] == ""
    assert float(rows[1]["learning_rate"]) == 1e-4
    assert rows[4]["same_as"] == "1"
