"""From predictions to the report: the figures agree with their definitions, and what is undefined says so."""

import json
import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pytest

from catsdogs.core.errors import DataError
from catsdogs.core.files import write_json
from catsdogs.core.predictions import UNLABELLED, Predictions
from catsdogs.core.report import EvaluationReport
from catsdogs.evaluation import metrics
from catsdogs.evaluation.judge import evaluate

NAMES = [
    "accuracy",
    "balanced_accuracy",
    "log_loss",
    "auroc",
    "average_precision",
    "brier",
    "ece",
    "ece_mass",
]


def predictions(n: int, classes: int = 2, *, skill: float = 3.0, seed: int = 0) -> Predictions:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, n)
    logits = generator.normal(size=(n, classes))
    logits[np.arange(n), labels] += skill
    ids = tuple(f"{i}.jpg" for i in range(n))
    return Predictions(ids, ("bird", "cat", "dog", "emu")[:classes], logits, labels)


@pytest.mark.parametrize("classes", [2, 4])
def test_every_figure_is_the_one_that_metrics_defines_inside_its_interval(classes):
    given = predictions(400, classes, skill=1.0)
    report = evaluate(given, split="test", tta="flip")
    assert list(report.metrics) == NAMES
    for name, estimate in report.metrics.items():
        scores = given.logits if name == "log_loss" else given.probabilities
        assert estimate.value == pytest.approx(getattr(metrics, name)(scores, given.labels), rel=1e-12)
        assert estimate.low < estimate.high
        assert estimate.low <= estimate.value <= estimate.high
    confusion = metrics.confusion_matrix(given.logits, given.labels)
    assert report.confusion == tuple(map(tuple, confusion.tolist()))
    for figure in ("precision", "recall", "f1"):
        values = [report.per_class[name][figure].value for name in given.class_names]
        assert values == pytest.approx(getattr(metrics, figure)(confusion))
    assert (report.split, report.tta, report.n) == ("test", "flip", 400)
    assert len(report.mistakes) == 20


def test_the_report_survives_json(tmp_path):
    report = evaluate(predictions(60), split="input", tta="none")
    write_json(tmp_path / "evaluation.json", report.to_dict())
    assert EvaluationReport.load(tmp_path / "evaluation.json") == report


def test_only_readable_labelled_pictures_are_scored():
    given = predictions(50)
    logits, labels = given.logits.copy(), given.labels.copy()
    logits[[3, 7]] = np.nan
    labels[[7, 9]] = UNLABELLED
    part = Predictions(given.ids, given.class_names, logits, labels, {3: "truncated", 7: "empty"})
    report = evaluate(part, split="test", tta="none")
    kept = [i for i in range(50) if i not in (3, 7, 9)]
    assert (report.n, report.n_unreadable) == (47, 2)
    assert report.metrics == evaluate(given.select(kept), split="test", tta="none").metrics


def test_the_same_seed_gives_the_same_report():
    given = predictions(80)
    assert evaluate(given, split="t", tta="n", seed=3) == evaluate(given, split="t", tta="n", seed=3)
    assert evaluate(given, split="t", tta="n", seed=3) != evaluate(given, split="t", tta="n", seed=4)


def test_one_picture_is_enough_for_what_it_defines():
    given = Predictions(("a.jpg",), ("cat", "dog"), np.array([[2.0, 0.0]]), np.array([0]))
    values = evaluate(given, split="test", tta="none").to_dict()
    figures = values["metrics"]
    assert figures["accuracy"]["value"] == 1.0
    assert figures["accuracy"]["low"] == pytest.approx(0.2065, abs=1e-3)
    assert figures["log_loss"]["value"] == figures["log_loss"]["low"] == pytest.approx(np.log1p(np.exp(-2)))
    assert figures["auroc"] == figures["average_precision"] == {"value": None, "low": None, "high": None}
    assert values["per_class"]["dog"]["recall"]["value"] is None
    json.dumps(values, allow_nan=False)


def test_one_class_has_no_auroc():
    given = predictions(30)
    report = evaluate(given.select(np.flatnonzero(given.labels == 1)), split="test", tta="none")
    assert not report.metrics["auroc"].defined
    assert report.metrics["balanced_accuracy"].value == report.metrics["accuracy"].value


def test_perfection_leaves_room_for_doubt():
    report = evaluate(predictions(100, skill=50.0), split="test", tta="none")
    assert report.mistakes == ()
    for estimate in (
        report.metrics["accuracy"],
        report.metrics["balanced_accuracy"],
        report.per_class["cat"]["f1"],
    ):
        assert estimate.value == 1.0 == estimate.high
        assert 0.9 < estimate.low < 1.0


@pytest.mark.parametrize("size", [1e4, -1e4])
def test_saturated_scores_give_finite_figures(size):
    labels = np.arange(20) % 2
    logits = np.where(np.eye(2)[labels] == 1, size, 0.0)
    given = Predictions(tuple(map(str, range(20))), ("cat", "dog"), logits, labels)
    report = evaluate(given, split="test", tta="none")
    assert np.isfinite([report.metrics["log_loss"].value, report.metrics["brier"].value]).all()
    json.dumps(report.to_dict(), allow_nan=False)


def test_the_ece_of_a_calibrated_model_may_be_nothing_but_noise():
    generator = np.random.default_rng(0)
    honest = generator.normal(scale=2.0, size=(300, 2))
    labels = (honest + generator.gumbel(size=honest.shape)).argmax(axis=1)
    given = Predictions(tuple(map(str, range(300))), ("cat", "dog"), honest, labels)
    ece = evaluate(given, split="test", tta="none").metrics["ece"]
    assert ece.low < 0.5 * ece.value


def test_nothing_to_score_is_one_clear_line():
    given = predictions(3)
    unlabelled = Predictions(given.ids, given.class_names, given.logits, np.full(3, UNLABELLED))
    with pytest.raises(DataError, match="none of the 3 pictures has a label"):
        evaluate(unlabelled, split="input", tta="none")
    with pytest.raises(DataError, match="none of the 0 pictures has a label"):
        evaluate(given.select([]), split="input", tta="none")
    errors = dict.fromkeys(range(3), "not a picture")
    unreadable = Predictions(given.ids, given.class_names, np.full((3, 2), np.nan), given.labels, errors)
    with pytest.raises(DataError, match=r"none of the 3 .* could be read \(0.jpg: not a picture\)"):
        evaluate(unreadable, split="input", tta="none")


def test_a_diverged_model_is_named_as_such():
    given = predictions(4)
    given.logits[2] = np.nan
    with pytest.raises(DataError, match=r"not finite for 1 of 4 pictures, first 2\.jpg"):
        evaluate(given, split="test", tta="none")


def test_very_large_sets_get_fewer_resamples(monkeypatch):
    drawn = []

    def counted(statistics, n, *, seed, resamples):
        drawn.append(resamples)
        return {name: statistic(np.ones((n, resamples))) for name, statistic in statistics.items()}

    monkeypatch.setattr("catsdogs.evaluation.judge.bootstrap", counted)
    for steps in (80 * 1000, 80 * 300, 1):
        monkeypatch.setattr("catsdogs.evaluation.judge._MOST_STEPS", steps)
        evaluate(predictions(40), split="test", tta="none")
    assert drawn == [1000, 300, 100]


def test_two_thousand_pictures_take_no_time():
    given = predictions(2000)
    start = time.perf_counter()
    evaluate(given, split="test", tta="none")
    assert time.perf_counter() - start < 5  # 0.25 s on an idle machine


def test_memory_does_not_grow_with_the_resamples():
    given, peaks = predictions(20_000), []
    for resamples in (60, 240):
        tracemalloc.start()
        evaluate(given, split="test", tta="none", resamples=resamples)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]


def test_judging_imports_neither_torch_nor_scikit_learn():
    program = (
        "import sys, catsdogs.evaluation.judge, catsdogs.evaluation.calibration;"
        "print([m for m in ('torch', 'sklearn', 'scipy', 'lightning') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
