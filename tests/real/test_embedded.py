"""The model that the package carries, on photos that it has not learned from."""

import json

import pytest

from catsdogs.cli.main import main

pytestmark = pytest.mark.real


@pytest.fixture
def judged(real, tmp_path):
    def judge(*words):
        photos = real / "data" / "dogs-vs-cats" / "train.zip"
        assert main(["evaluate", "--input", str(photos), "--out", str(tmp_path), *words]) == 0
        return json.loads((tmp_path / "evaluation.json").read_text())

    return judge


def test_it_knows_unseen_cats_from_dogs_and_leaves_out_the_two_it_has_seen(judged, capsys):
    report = judged("--tta", "flip")
    assert report["n"] == 2000
    assert "left out: 2 of 2,002 pictures" in capsys.readouterr().out
    assert report["metrics"]["accuracy"]["value"] > 0.95
    assert report["metrics"]["log_loss"]["value"] < 0.15
