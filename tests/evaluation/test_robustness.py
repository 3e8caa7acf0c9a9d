"""Judging answers about changed pictures, on answers written by hand."""

import numpy as np
import pytest

from catsdogs.core.errors import DataError
from catsdogs.core.predictions import Predictions, softmax
from catsdogs.core.viewanswers import ViewAnswers
from catsdogs.evaluation.intervals import paired_gain, wilson
from catsdogs.evaluation.robustness import answered, judge_attacks, judge_corruptions, judge_shifts
from catsdogs.evaluation.robustnesschecks import (
    check_attacks,
    check_corruptions,
    check_shifts,
    check_steps,
)

N = 200
LABELS = np.arange(N) % 2


def says(wrong: int, *, sure: float = 3.0) -> np.ndarray:
    """Logits (N, 2) that get the first so many pictures wrong."""
    called = np.where(np.arange(N) < wrong, 1 - LABELS, LABELS)
    return sure * np.eye(2)[called]


def answers(plain: np.ndarray, *views: np.ndarray, errors=None) -> Predictions:
    names = tuple(f"view {n}" for n in range(len(views)))
    return Predictions(
        tuple(map(str, range(N))),
        ("cat", "dog"),
        plain,
        LABELS,
        errors or {},
        ViewAnswers(names, np.stack(views), plain),
    )


class TestCorruptions:
    PLACES = (("jpeg", 1.0, "quality 25"), ("jpeg", 2.0, "quality 18"))

    def test_accuracy_and_cost_are_counted(self) -> None:
        report = judge_corruptions(answers(says(4), says(10), says(40)), self.PLACES, seed=0)
        mild, harsh = report.series[0].steps
        assert report.clean == wilson(196, 200)
        assert harsh.accuracy == wilson(160, 200)
        assert harsh.cost == paired_gain(36, 0, 160, 4)
        assert (mild.setting, mild.strength) == ("quality 25", 1)
        assert report.mean_error.value == pytest.approx((10 + 40) / 400)
        assert report.relative_error.value == pytest.approx((10 + 40) / 400 - 4 / 200)
        assert report.relative_error.low > 0

    def test_a_model_that_nothing_harms_is_still_not_certain(self) -> None:
        report = judge_corruptions(answers(says(0), says(0), says(0)), self.PLACES, seed=0)
        assert (report.mean_error.value, report.mean_error.low) == (0, 0)
        assert 0 < report.mean_error.high < 0.02
        assert report.relative_error.low < 0 < report.relative_error.high

    def test_one_picture_is_enough(self) -> None:
        one = answers(says(0), says(0), says(1)).select([0])
        assert judge_corruptions(one, self.PLACES, seed=0).series[0].steps[1].accuracy.value == 0

    def test_pictures_without_an_answer_are_left_out(self) -> None:
        view = says(0)
        view[3] = np.nan
        plain = says(0)
        plain[5] = np.nan
        scored = answered(answers(plain, view, errors={7: "broken"}))
        assert len(scored) == N - 3
        with pytest.raises(DataError, match="none of the 200 pictures can be judged"):
            answered(answers(says(0), np.full((N, 2), np.nan)))


class TestShifts:
    PLACES = ((0, 0), (-2, 0), (2, 0), (0, -2), (0, 2))

    def test_a_picture_counts_once_however_many_directions_change_it(self) -> None:
        plain = says(0)
        found = answers(plain, plain, says(3), says(5), says(0), says(0, sure=2.0))
        report = judge_shifts(found, self.PLACES, room_px=16, seed=0)
        (step,) = report.steps
        assert step.changed == wilson(5, 200)
        assert step.accuracy.value == pytest.approx(1 - (3 + 5) / 800)
        p, q = softmax(np.array([3.0, 0.0]))[0], softmax(np.array([2.0, 0.0]))[0]
        expected = ((3 + 5) / 200 * (2 * p - 1) + (p - q)) / 4
        assert step.moved_probability.value == pytest.approx(expected)
        assert step.pixels == 2

    def test_unmoved_must_be_plain(self) -> None:
        good = answers(says(0), says(0), *[says(1)] * 4)
        assert check_shifts(good, self.PLACES)[0].passed
        (check,) = check_shifts(answers(says(0), says(2), *[says(1)] * 4), self.PLACES)
        assert not check.passed
        assert "2 of 200 answers differ" in check.text


class TestAttacks:
    PLACES = tuple((kind, strength, "") for kind in ("fgsm", "pgd") for strength in (0.0, 1.0, 2.0))
    FINE = (2, 60, 50, 2, 110, 190)

    def check(self, wrong=FINE, *, largest=(0, 1, 2, 0, 1, 2), still=(N, 0, 0) * 2, inside=True):
        found = answers(says(2), *map(says, wrong))
        checks = check_attacks(found, self.PLACES, largest=largest, still=still, inside=inside)
        return {check.name: check for check in checks}

    def failed(self, **changes) -> list[str]:
        return [name for name, check in self.check(**changes).items() if not check.passed]

    def test_the_strength_that_halves_accuracy_is_of_pgd(self) -> None:
        report = judge_attacks(answers(says(2), *map(says, self.FINE)), self.PLACES, steps=10)
        assert report.halved_at == 1
        assert report.series[0].steps[1].accuracy == wilson(140, 200)
        strong = judge_attacks(answers(says(2), *map(says, (2, 2, 2, 2, 3, 4))), self.PLACES, steps=10)
        assert strong.halved_at is None
        hopeless = judge_attacks(answers(says(N), *[says(N)] * 6), self.PLACES, steps=10)
        assert hopeless.halved_at is None

    def test_good_attacks_pass_also_where_one_step_overshoots(self) -> None:
        assert self.failed() == []

    @pytest.mark.parametrize(
        ("changes", "name", "told"),
        [
            ({"wrong": (3, 60, 90, 2, 110, 190)}, "strength_zero_is_clean", "1 of 400 answers"),
            ({"largest": (0, 1.1, 2, 0, 1, 2)}, "within_budget", "fgsm 1 changed a value by 1.1"),
            ({"inside": False}, "within_budget", "values left [0, 1]"),
            ({"still": (N, 0, 0, N, 7, 0)}, "gradients_reach_pixels", "7 of 200 pictures"),
            ({"wrong": (2, 60, 20, 2, 110, 90)}, "pgd_monotone", "pgd rises from 45.0% at 1 to 55.0% at 2"),
            ({"wrong": (2, 60, 90, 2, 50, 190)}, "pgd_at_most_fgsm", "at 1/255 PGD leaves 75.0%, FGSM 70.0%"),
        ],
    )
    def test_each_check_can_fail(self, changes, name: str, told: str) -> None:
        assert self.failed(**changes) == [name]
        assert told in self.check(**changes)[name].text

    def test_chance_is_no_failure(self) -> None:
        assert self.failed(wrong=(2, 60, 60, 2, 58, 55)) == []

    def test_many_more_steps_should_find_little_more(self) -> None:
        assert check_steps(says(50), says(53), LABELS, "PGD").passed
        check = check_steps(says(50), says(80), LABELS, "PGD at 1/255")
        assert not check.passed
        assert check.text == "PGD at 1/255: 60.0% instead of 75.0% of 200 pictures stay right"


def test_corruption_that_helps_is_told() -> None:
    places = tuple(("haze", float(strength), "") for strength in (1, 2))
    assert check_corruptions(answers(says(0), says(30), says(28)), places)[0].passed
    (check,) = check_corruptions(answers(says(0), says(30), says(5)), places)
    assert not check.passed
    assert "haze rises from 85.0% at 1 to 97.5% at 2" in check.text
