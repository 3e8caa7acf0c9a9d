"""What poison does and what shows it, counted by hand."""

import json

import numpy as np
import pytest

from catsdogs.core.errors import DataError
from catsdogs.core.files import write_json
from catsdogs.evaluation.labelcheck import LabelDoubt
from catsdogs.evaluation.poisoning import Answers, Dose, PoisonReport, Traces, first_places

CAT, DOG = [2.0, 0.0], [0.0, 2.0]


def doubt(name, suspected=False):
    return LabelDoubt(name, "dog", "cat", 0.1, 0.9, -2.0, suspected=suspected)


@pytest.fixture
def report():
    labels = np.array([0, 0, 0, 1])
    clean = Answers.of(np.array([CAT, CAT, CAT, DOG]), labels, np.array([CAT, CAT, CAT]), victim=0, target=1)
    after = Answers.of(np.array([CAT, DOG, CAT, DOG]), labels, np.array([DOG, DOG, CAT]), victim=0, target=1)
    doubts = [doubt("p1", suspected=True), *(doubt(f"{n}") for n in range(50)), doubt("p2"), doubt("p3")]
    traces = Traces.of(doubts, {"p1", "p2", "p3"}, {"p1", "p3", "original"})
    return PoisonReport("cat", "dog", 0.2, True, 50, clean, (Dose(3, 3 / 53, after, traces),))


def test_what_the_patch_does(report):
    (dose,) = report.doses
    assert (report.clean.accuracy.value, report.clean.misled.value, report.clean.anyway.value) == (1, 0, 0)
    assert dose.answers.accuracy.value == 0.75
    assert dose.answers.misled.value == pytest.approx(2 / 3)
    assert dose.answers.anyway.value == pytest.approx(1 / 3)


def test_what_shows_the_poison(report):
    traces = report.doses[0].traces
    assert (traces.listed, traces.ranks, traces.median_rank) == (53, (1, 52, 53), 52)
    assert first_places(53) == 2
    assert traces.first.value == pytest.approx(1 / 3)
    assert (traces.suspected, traces.duplicates, traces.flagged) == (1, 2, 2)


def test_the_sentence(report):
    assert report.sentence.startswith("3 poisoned of 50 training pictures: 67% (21% to 94%)")
    assert report.sentence.endswith("suspects 2 of the 3: 1 by the model, 2 as duplicates")


def test_json_gives_it_back(report, tmp_path):
    write_json(tmp_path / "poison.json", report.to_dict())
    assert PoisonReport.load(tmp_path / "poison.json") == report
    (tmp_path / "other.json").write_text(json.dumps({"doses": 3}))
    with pytest.raises(DataError, match="report of poisoning"):
        PoisonReport.load(tmp_path / "other.json")
