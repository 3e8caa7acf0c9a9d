"""Each kind on curves that are plainly of it; ``tests/scripts/test_curves.py`` has real ones."""

import math
from dataclasses import replace

import numpy as np
import pytest

from catsdogs.evaluation import diagnosis
from catsdogs.evaluation.curveshape import shape_of, smoothed
from catsdogs.evaluation.diagnosis import Diagnosis, diagnose
from catsdogs.evaluation.learningcurves import LearningCurve

EPOCHS = np.arange(30)
SETTLING = np.exp(-EPOCHS / 4)
GOOD = (0.1 + SETTLING, 0.14 + SETTLING)
JUMPS = np.random.default_rng(0).normal(0, 0.15, 30)

CURVES = {
    "good fit": GOOD,
    "underfitting (flat)": (0.69 - 0.02 * EPOCHS / 30, 0.7 - 0.02 * EPOCHS / 30),
    "underfitting (still falling)": (1 - 0.02 * EPOCHS, 1.02 - 0.02 * EPOCHS),
    "unrepresentative training set": (0.05 + SETTLING, 0.5 + 0.5 * SETTLING),
    "unrepresentative validation set (noisy)": (GOOD[0], GOOD[1] + np.abs(JUMPS)),
    "unrepresentative validation set (easier than training)": (0.4 + SETTLING, 0.1 + SETTLING),
}


def name(train, val, **options) -> Diagnosis:
    return diagnose(LearningCurve.from_values(train, val), **options)


@pytest.mark.parametrize("title", CURVES)
def test_each_kind_by_its_name(title) -> None:
    found = name(*CURVES[title])
    assert found.title == title
    assert found.evidence
    assert all(any(letter.isdigit() for letter in sentence) for sentence in found.evidence[:1])


@pytest.mark.parametrize("turn", [8, 15, 22])
def test_overfitting_is_told_with_the_epoch_from_which(turn) -> None:
    epoch = np.arange(40)
    val = 0.3 + np.exp(-np.minimum(epoch, turn) / 5) + 0.03 * np.maximum(epoch - turn, 0)
    found = name(np.exp(-epoch / 5), val)
    assert found.name == "overfitting"
    assert abs(found.epoch - (turn + 1)) <= 3
    assert found.sentence.startswith(f"overfitting from epoch {found.epoch}: the validation loss rose from ")


@pytest.mark.parametrize("title", CURVES)
@pytest.mark.parametrize("unit", [0.2, 40.0])
def test_the_unit_of_the_loss_does_not_matter(title, unit) -> None:
    train, val = CURVES[title]
    assert name(train * unit, val * unit).title == title


@pytest.mark.parametrize("title", CURVES)
def test_one_odd_epoch_changes_nothing(title) -> None:
    train, val = (values.copy() for values in CURVES[title])
    val[12] += 0.15
    assert name(train, val).name == title.partition(" (")[0]


def test_epochs_without_validation_are_passed_over() -> None:
    val = GOOD[1].copy()
    val[::2] = math.nan
    assert name(GOOD[0], val).title == "good fit"


def test_a_run_that_disturbs_its_training_may_validate_better() -> None:
    easy = CURVES["unrepresentative validation set (easier than training)"]
    assert name(*easy, disturbed=True).title == "good fit"
    assert name(*CURVES["underfitting (still falling)"], disturbed=True).name == "underfitting"


@pytest.mark.parametrize("epochs", range(1, diagnosis.LEAST_EPOCHS))
@pytest.mark.parametrize("title", CURVES)
def test_a_short_run_raises_no_alarm(title, epochs) -> None:
    found = name(CURVES[title][0][:epochs], CURVES[title][1][:epochs])
    assert found.title == "too short to judge"
    assert f"{epochs} epochs" in found.evidence[0] or epochs == 1


def test_a_fine_tuning_that_starts_well_is_no_underfitting() -> None:
    """From a probe's head both losses are low from the first epoch on, and hardly fall."""
    flat, falling = 0.06 - 0.0002 * EPOCHS, 0.06 - 0.001 * EPOCHS
    assert name(flat, flat).title == "good fit"
    sure = np.full(30, 0.985)
    for loss in (flat, falling, 10 * flat, 10 * falling):
        assert diagnose(LearningCurve.from_values(loss, loss, sure, sure)).title == "good fit"


def test_hundredths_are_nothing_to_a_classifier_that_starts_well() -> None:
    chance = np.random.default_rng(2)
    sure = np.full(30, 0.99)
    train = 0.02 + 0.06 * SETTLING + chance.normal(0, 0.001, 30)
    val = 0.03 + 0.0004 * EPOCHS + chance.normal(0, 0.004, 30)
    assert diagnose(LearningCurve.from_values(train, val, sure, sure)).title == "good fit"
    overfitted = val + 0.005 * EPOCHS
    assert diagnose(LearningCurve.from_values(train, overfitted, sure, sure)).name == "overfitting"


def test_mixing_keeps_the_training_loss_high_while_validation_shows_the_learning() -> None:
    train, val = 0.7 - 0.004 * EPOCHS, 0.69 - 0.012 * EPOCHS
    assert name(train, val, disturbed=True).title == "underfitting (still falling)"
    assert name(0.6 + 0.1 * SETTLING, 0.2 + 0.5 * SETTLING, disturbed=True).title == "good fit"


def test_what_cannot_be_judged_is_said() -> None:
    assert name(GOOD[0], np.full(30, math.nan)).title == "no validation to judge by"
    lost = replace(LearningCurve.from_values(*GOOD), diverged=4)
    assert diagnose(lost).title == "diverged from epoch 4"


def test_plain_values_for_json() -> None:
    found = Diagnosis("underfitting", "flat", ("a", "b"))
    assert found.to_dict() == {"name": "underfitting", "form": "flat", "epoch": None, "evidence": ["a", "b"]}
    assert found.sentence == "underfitting (flat): a; b"


class TestShape:
    def test_a_smooth_course_has_no_noise_and_keeps_its_ends(self) -> None:
        line = 1 - 0.02 * EPOCHS
        assert smoothed(line) == pytest.approx(line)
        assert shape_of(LearningCurve.from_values(line, line)).noise == pytest.approx(0, abs=1e-9)

    def test_noise_is_its_standard_deviation(self) -> None:
        noise = np.random.default_rng(1).normal(0, 0.1, 3000)
        shape = shape_of(LearningCurve.from_values(np.ones(3000), 1 + noise))
        assert shape.noise * shape.scale == pytest.approx(0.1, rel=0.1)

    def test_a_wild_first_epoch_does_not_shrink_the_rest(self) -> None:
        train, val = (values.copy() for values in CURVES["unrepresentative training set"])
        train[0] = 1000.0
        assert name(train, val).title == "unrepresentative training set"

    def test_losses_below_zero_are_measured_from_the_lowest(self) -> None:
        assert name(GOOD[0] - 5, GOOD[1] - 5).title == "good fit"

    def test_two_epochs_have_no_shape(self) -> None:
        with pytest.raises(ValueError, match="fewer than three"):
            shape_of(LearningCurve.from_values([1, 0.5], [1, 0.5]))
