"""A report comes back from JSON as it was, undefined figures included, and foreign files are named."""

import json
import math

import pytest

from catsdogs.core.errors import DataError
from catsdogs.core.estimate import Estimate
from catsdogs.core.files import write_json
from catsdogs.core.report import EvaluationReport, Mistake


@pytest.fixture
def report() -> EvaluationReport:
    figure = Estimate(0.9, 0.8, 0.95)
    return EvaluationReport(
        split="test",
        n=10,
        n_unreadable=1,
        tta="flip",
        class_names=("cat", "dog"),
        metrics={"accuracy": figure},
        per_class={"cat": {"recall": figure}, "dog": {"recall": figure}},
        confusion=((5, 0), (1, 4)),
        mistakes=(Mistake("a.jpg", "dog", "cat", 0.99),),
    )


def test_json_gives_it_back(report, tmp_path):
    write_json(tmp_path / "evaluation.json", report.to_dict())
    assert EvaluationReport.load(tmp_path / "evaluation.json") == report


def test_the_form_that_users_read(report):
    plain = report.to_dict()
    assert plain["metrics"] == {"accuracy": {"value": 0.9, "low": 0.8, "high": 0.95}}
    assert (plain["split"], plain["n"], plain["tta"]) == ("test", 10, "flip")
    assert plain["mistakes"] == [{"id": "a.jpg", "true": "dog", "predicted": "cat", "probability": 0.99}]


def test_an_undefined_figure_is_null_and_comes_back_undefined(report):
    plain = json.loads(
        json.dumps(report.to_dict() | {"metrics": {"auroc": {"value": None, "low": None, "high": None}}})
    )
    again = EvaluationReport.from_dict(plain).metrics["auroc"]
    assert not again.defined
    assert math.isnan(again.low)
    assert not Estimate.undefined().defined
    assert Estimate(0.0, 0.0, 0.1).defined


@pytest.mark.parametrize("part", ["split", "n", "metrics", "per_class", "confusion", "mistakes"])
def test_a_missing_or_misshapen_part_is_refused(report, part):
    plain = report.to_dict()
    if part not in ("split", "n"):
        with pytest.raises(DataError, match="not an evaluation"):
            EvaluationReport.from_dict(plain | {part: 7})
    del plain[part]
    with pytest.raises(DataError, match=part):
        EvaluationReport.from_dict(plain)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"7", b"null", b"{}", b"\xff\xfe", b'{"split": "test"}']
)
def test_a_file_of_another_kind_is_named(tmp_path, content):
    path = tmp_path / "evaluation.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"evaluation\.json is not an evaluation"):
        EvaluationReport.load(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"missing\.json"):
        EvaluationReport.load(tmp_path / "missing.json")
