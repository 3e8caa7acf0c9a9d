"""Slices must find a planted bias, and nothing where there is none; these simulate both."""

import json

import numpy as np
import pytest
from scipy.stats import binom, hypergeom

from catsdogs.core.columns import NumberColumn, WordColumn
from catsdogs.core.errors import DataError
from catsdogs.core.estimate import Estimate
from catsdogs.core.predictions import Predictions
from catsdogs.evaluation.association import ClassDifference
from catsdogs.evaluation.maxtest import larger_than_the_rest
from catsdogs.evaluation.slices import SlicesReport, find_slices
from catsdogs.evaluation.slicing import slices_of

NAMES = ("brightness", "contrast", "sharpness", "size")


def world(seed, n=400, *, bias=0.0, hard=0.0):
    """A model whose margin has heavy tails, is ``bias`` lower on dark dogs and ``hard`` lower on dogs."""
    chance = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    # Properties of photos are correlated, so slices overlap.
    values = chance.normal(size=(len(NAMES), n)) + chance.normal(size=n)
    # Where dogs are both darker and harder, darkness still does no harm.
    values[0] -= 0.5 * hard * labels
    margin = 5 + 2 * chance.standard_t(5, size=n)
    dark = values[0] <= np.quantile(values[0][labels == 1], 0.25)
    margin -= (bias * dark + hard) * labels
    logits = np.zeros((n, 2))
    logits[np.arange(n), labels] = margin
    ids = tuple(f"{i}.jpg" for i in range(n))
    columns = [NumberColumn(name, row, "dark", "bright") for name, row in zip(NAMES, values, strict=True)]
    return Predictions(ids, ("cat", "dog"), logits, labels), columns


@pytest.fixture(autouse=True)
def fewer_permutations(monkeypatch):
    monkeypatch.setattr("catsdogs.evaluation.maxtest.PERMUTATIONS", 199)


@pytest.mark.parametrize("hard", [0.0, 2.0])
def test_without_a_bias_a_run_finds_anything_in_at_most_5_of_100(hard):
    runs = 150
    alarms = sum(bool(find_slices(*world(seed, 200, hard=hard), seed=seed).found) for seed in range(runs))
    # The bound that a test with exactly 5 % would break once in a thousand times.
    assert alarms <= binom.ppf(0.999, runs, 0.05)


def test_a_planted_bias_is_found_and_comes_first():
    firsts = []
    for seed in range(20):
        report = find_slices(*world(seed, bias=5.0), seed=seed)
        firsts.append(report.slices[0])
        assert all(one.column in NAMES for one in report.found)
    assert all(one.found for one in firsts)
    assert all(one.column == "brightness" for one in firsts)
    assert sum(one.of_class == "dog" for one in firsts) >= 18
    assert all(one.difference.high < 0 for one in firsts)


def test_the_statistic_is_that_of_drawing_without_replacement():
    chance = np.random.default_rng(0)
    errors = (chance.random(60) < 0.3).astype(float)
    groups = [np.arange(20), np.arange(10, 45)]
    test = larger_than_the_rest(errors, groups, np.zeros(60, dtype=np.int64), seed=0)
    for found, group in zip(test.statistic, groups, strict=True):
        luck = hypergeom(60, int(errors.sum()), len(group))
        assert found == pytest.approx((errors[group].sum() - luck.mean()) / luck.std())


def test_the_p_value_of_one_group_is_fishers(monkeypatch):
    monkeypatch.setattr("catsdogs.evaluation.maxtest.PERMUTATIONS", 20_000)
    errors = np.zeros(60)
    errors[:7], errors[30:34] = 1, 1
    test = larger_than_the_rest(errors, [np.arange(20)], np.zeros(60, dtype=np.int64), seed=0)
    fisher = hypergeom.sf(6, 60, 11, 20)
    assert test.p_value[0] == pytest.approx(fisher, abs=4 * np.sqrt(fisher / 20_000))


def test_a_harder_class_is_no_slice_but_what_it_hides_is():
    labels = np.repeat([0, 1], 100)
    errors = np.zeros(200)
    errors[100:150] = 1.0
    mostly_dogs = np.concatenate([np.arange(5), np.arange(125, 175)])
    strata, one = labels.astype(np.int64), np.zeros(200, dtype=np.int64)
    assert larger_than_the_rest(errors, [mostly_dogs], strata, seed=0).p_value[0] > 0.3
    assert larger_than_the_rest(errors, [mostly_dogs], one, seed=0).p_value[0] < 0.01


def test_values_that_cannot_differ_are_no_evidence():
    test = larger_than_the_rest(np.ones(50), [np.arange(10)], np.zeros(50, dtype=np.int64), seed=0)
    assert (test.statistic[0], test.p_value[0]) == (0.0, 1.0)


def test_slices_hold_the_pictures_that_their_rule_says():
    labels = np.arange(200) % 2
    brightness = NumberColumn("brightness", np.random.default_rng(0).random(200), "dark", "bright")
    brightness.values[:3] = np.nan
    found = {(one.of_class, one.title): one for one in slices_of([brightness], labels, 2)}
    dark = found[None, "dark"]
    limit = float(dark.rule.removeprefix("brightness up to "))
    np.testing.assert_array_equal(dark.members, np.flatnonzero(brightness.values <= limit))
    assert len(dark.members) == pytest.approx(197 / 4, abs=2)
    assert len(found[1, "very bright"].members) == pytest.approx(10, abs=1)
    assert (labels[found[1, "very bright"].members] == 1).all()


def test_equal_values_and_rare_words_make_no_slice():
    labels = np.zeros(100, dtype=np.int64)
    same = NumberColumn("size", np.full(100, 4.0), "small", "large", "megapixels")
    camera = WordColumn("camera", ("a",) * 60 + ("b",) * 31 + ("c",) * 9)
    assert [one.title for one in slices_of([same, camera], labels, 1)] == ["camera a", "camera b"]


def test_pictures_without_label_or_answer_are_passed_over():
    predictions, columns = world(0, bias=6.0)
    report = find_slices(predictions, columns)
    labels, logits = predictions.labels.copy(), predictions.logits.copy()
    labels[:10], logits[10:20] = -1, np.nan
    holed = Predictions(
        predictions.ids, predictions.class_names, logits, labels, dict.fromkeys(range(10, 20), "damaged")
    )
    some = find_slices(holed, columns)
    assert (report.n, some.n) == (400, 380)
    alone = find_slices(
        predictions.select(range(20, 400)), [column.take(range(20, 400)) for column in columns]
    )
    assert some == alone


def test_pictures_of_the_worst_slices_are_its_mistakes_first():
    predictions, columns = world(0, bias=6.0)
    worst = find_slices(predictions, columns).slices[0]
    wrong = [one.true != one.predicted for one in worst.pictures]
    assert wrong == sorted(wrong, reverse=True)
    assert any(wrong)
    sure = [one.probability for one, is_wrong in zip(worst.pictures, wrong, strict=True) if is_wrong]
    assert sure == sorted(sure, reverse=True)
    assert all(one.true == "dog" for one in worst.pictures)


def test_the_report_survives_its_file(tmp_path):
    report = find_slices(*world(0, bias=6.0))
    path = tmp_path / "slices.json"
    path.write_text(json.dumps(report.to_dict(), allow_nan=False))
    assert SlicesReport.load(path) == report
    path.write_text('{"n": 3}')
    with pytest.raises(DataError, match="is not a report of slices"):
        SlicesReport.load(path)


def test_too_few_pictures_have_no_slices():
    report = find_slices(*world(0, 16))
    assert (report.n, report.tested, report.slices) == (16, 0, ())


def test_the_same_seed_gives_the_same_report():
    assert find_slices(*world(0), seed=3) == find_slices(*world(0), seed=3)
    assert find_slices(*world(0), seed=3) != find_slices(*world(0), seed=4)


def test_what_training_has_taught_is_a_bias_and_comes_first():
    predictions, columns = world(0, bias=5.0)
    blurred = NumberColumn("blur", columns[0].values.copy(), "sharp", "blurred")
    plain = find_slices(predictions, [columns[0], blurred])
    assert {one.column for one in plain.found} == {"brightness", "blur"}
    assert not any(one.bias for one in plain.slices)
    shown = [ClassDifference("blur", "dog", "sharp", Estimate(0.9, 0.8, 0.95))]
    told = find_slices(predictions, [columns[0], blurred], training=shown)
    assert [one.column for one in told.found[: len(told.found) // 2]] == ["blur"] * (len(told.found) // 2)
    assert all(one.bias == (one.column == "blur") for one in told.found)
    assert told.training == tuple(shown)
    weak = [ClassDifference("blur", "dog", "sharp", Estimate(0.62, 0.58, 0.66))]
    assert not any(one.bias for one in find_slices(predictions, columns, training=weak).slices)


def test_of_many_classes_the_worst_slices_are_kept(monkeypatch):
    monkeypatch.setattr("catsdogs.evaluation.slices._KEPT", 5)
    predictions, columns = world(0, bias=5.0)
    report = find_slices(predictions, columns)
    assert report.tested > len(report.slices) == 5
    assert report.slices[0].found


def test_blocks_do_not_change_the_p_values(monkeypatch):
    values, strata = np.random.default_rng(0).exponential(size=90), np.arange(90) % 3
    groups = [np.arange(20), np.arange(10, 45), np.arange(60, 90)]
    whole = larger_than_the_rest(values, groups, strata, seed=0).p_value
    monkeypatch.setattr("catsdogs.evaluation.maxtest._BLOCK_CELLS", 10**9)
    np.testing.assert_array_equal(larger_than_the_rest(values, groups, strata, seed=0).p_value, whole)
