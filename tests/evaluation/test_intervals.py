"""Intervals must hold the truth about 95 times in 100; these simulate worlds whose truth is known."""

import numpy as np
import pytest
from scipy.stats import binomtest
from truth import covers

from catsdogs.core.estimate import Estimate
from catsdogs.evaluation.intervals import (
    f1_interval,
    mean_of_independent,
    paired_gain,
    perfect_ranking,
    wilson,
)


@pytest.mark.parametrize(("successes", "trials"), [(0, 1), (1, 1), (7, 20), (0, 50), (50, 50), (1971, 2000)])
def test_wilson_equals_scipy(successes, trials):
    expected = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    ours = wilson(successes, trials)
    assert (ours.low, ours.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert ours.low <= ours.value <= ours.high


def test_wilson_of_perfection_leaves_room_for_doubt():
    assert wilson(20, 20).high == 1.0
    assert 0.8 < wilson(20, 20).low < 0.9
    assert wilson(0, 20).low == 0.0
    assert 0.1 < wilson(0, 20).high < 0.2


def test_no_trials_no_figure():
    assert not wilson(0, 0).defined
    assert not f1_interval(0, 0).defined


@pytest.mark.parametrize("truth", [0.6, 0.95, 0.985])
def test_wilson_holds_the_truth_95_times_in_100(truth):
    drawn = np.random.default_rng(0).binomial(200, truth, size=3000)
    assert 0.925 < np.mean([covers(wilson(int(k), 200), truth) for k in drawn]) < 0.985


def test_the_interval_of_f1_holds_the_truth():
    # true & called, true only, called only, neither
    cells = [0.4, 0.06, 0.09, 0.45]
    truth = 2 * cells[0] / (2 * cells[0] + cells[1] + cells[2])
    drawn = np.random.default_rng(0).multinomial(150, cells, size=3000)
    held = [covers(f1_interval(int(a), int(a + b + c)), truth) for a, b, c, _ in drawn]
    assert 0.93 < np.mean(held) < 0.975


def test_the_interval_of_a_mean_of_recalls_holds_the_truth():
    generator, recalls, sizes = np.random.default_rng(0), (0.98, 0.8, 0.9), (60, 25, 100)
    drawn = np.stack(
        [generator.binomial(n, p, size=2000) for n, p in zip(sizes, recalls, strict=True)], axis=1
    )
    means = (
        mean_of_independent([wilson(int(k), n) for k, n in zip(row, sizes, strict=True)]) for row in drawn
    )
    assert 0.93 < np.mean([covers(mean, np.mean(recalls)) for mean in means]) < 0.98


def test_a_mean_leaves_out_what_is_undefined():
    one = wilson(9, 10)
    assert mean_of_independent([one, Estimate.undefined()]) == one
    assert not mean_of_independent([Estimate.undefined()]).defined
    assert not mean_of_independent([]).defined


def test_a_perfect_ranking_leaves_room_for_doubt():
    wide, narrow = perfect_ranking(10, 10), perfect_ranking(1000, 1000)
    assert 0.7 < wide.low < 0.9 < 0.99 < narrow.low < narrow.high == narrow.value == 1
    assert perfect_ranking(10, 500).low == pytest.approx(perfect_ranking(500, 10).low)


class TestPairedGain:
    def test_holds_the_truth_as_often_as_it_says(self) -> None:
        chance = np.random.default_rng(0)
        held = 0
        for _ in range(500):
            mended, spoilt, *_ = counts = chance.multinomial(300, [0.03, 0.01, 0.94, 0.02])
            gain = paired_gain(*map(int, counts))
            assert gain.value == pytest.approx((mended - spoilt) / 300)
            held += gain.low <= 0.02 <= gain.high
        assert 0.93 <= held / 500 <= 0.99

    def test_has_width_where_nothing_changed_and_mirrors_when_sides_are_changed(self) -> None:
        same = paired_gain(0, 0, 980, 20)
        assert same.low < 0 == same.value < same.high
        one, other = paired_gain(7, 2, 980, 11), paired_gain(2, 7, 980, 11)
        assert (one.low, one.high) == pytest.approx((-other.high, -other.low))

    def test_is_narrower_for_answers_that_go_together(self) -> None:
        together, apart = paired_gain(10, 0, 900, 90), paired_gain(90, 80, 820, 10)
        assert together.value == apart.value == pytest.approx(0.01)
        assert together.high - together.low < apart.high - apart.low

    def test_is_undefined_without_pictures(self) -> None:
        assert not paired_gain(0, 0, 0, 0).defined
