"""``catsdogs labels``: where its answers come from, what it writes, and that planted errors are found."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from catsdogs.cli.main import main
from catsdogs.core.predictions import Predictions
from catsdogs.data.audit import AuditReport
from catsdogs.data.generated import draw
from catsdogs.data.splits import read_split
from catsdogs.evaluation.labelcheck import LabelCheck

SMALL = ["--data.workers", "0", "--model.backbone", "test_resnet", "--model.input_size", "32"]
PROBE = ["--transfer.strategy", "linear_probe", "--model.weights", "none"]


def coloured(folder, name, reddish, seed):
    """A picture of noise in one of two colours, which any network tells apart."""
    chance = np.random.default_rng(seed)
    pixels = chance.integers(0, 120, (40, 40, 3))
    pixels[..., 0 if reddish else 2] += 130
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(folder / name)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on 40 pictures: red is cat but for one, blue is dog but for one, and one drawing is both."""
    home = tmp_path_factory.mktemp("labels")
    for number in range(40):
        red = number % 2 == 0
        wrong = number in (10, 31)
        coloured(home / "photos" / ("cat" if red != wrong else "dog"), f"{number}.png", red, number)
    for name in ("cat", "dog"):
        draw("cat", 0, size_px=64).save(home / "photos" / name / "twin.png")
    words = ["--data.root", str(home / "photos"), "--run", str(home / "run")]
    assert main(["train", *SMALL, *PROBE, *words]) == 0
    return home / "run"


def rows(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def names(record_rows, count):
    return {row["path"] for row in record_rows[:count]}


def test_training_ends_with_the_list(run):
    listed = rows(run / "labels.csv")
    assert names(listed, 2) <= {"dog/10.png", "cat/31.png", "cat/twin.png", "dog/twin.png"}
    check = LabelCheck.from_dict(json.loads((run / "labels.json").read_text()))
    assert check.n == len(listed)
    assert check.suspected == sum(row["suspected"] == "yes" for row in listed)
    assert check.conflicting == 2
    twins = {row["path"]: row["reason"] for row in listed if "twin" in row["path"]}
    assert "same photo as dog/twin.png, called dog" in twins["cat/twin.png"]


def test_all_pictures_are_listed_where_that_is_asked_for(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("catsdogs.workflows.labels._SHEET_PICTURES", 7)
    assert main(["labels", "--checkpoint", str(run), "--all", "--out", str(tmp_path / "all.csv")]) == 0
    listed = rows(tmp_path / "all.csv")
    assert {row["path"] for row in listed} == {record.id for record in read_split(run / "split.csv")}
    assert {"dog/10.png", "cat/31.png"} <= names(listed, 4)
    assert {row["suggested"] for row in listed if row["path"] == "dog/10.png"} == {"cat"}
    with Image.open(tmp_path / "all.png") as sheet:
        assert sheet.width > 5 * 200
    assert "of 42 look wrong, by cross-validation of an SVM on features" in capsys.readouterr().out


def test_without_all_the_runs_own_cross_validation_speaks(run, tmp_path, monkeypatch):
    monkeypatch.setattr("catsdogs.workflows.labels._draw", lambda *_: False)
    out = tmp_path / "some.csv"
    assert main(["labels", "--checkpoint", str(run), "--out", str(out)]) == 0
    assert out.read_bytes() == (run / "labels.csv").read_bytes()


def test_folds_have_judged_every_picture(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("catsdogs.workflows.labels._draw", lambda *_: False)
    said = Predictions.load(run / "out_of_fold.npz")
    for name in ("split.csv", "audit.json"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    (tmp_path / "cv.json").write_text("{}")
    said.save(tmp_path / "predictions.npz")
    assert main(["labels", "--checkpoint", str(tmp_path)]) == 0
    assert [row["path"] for row in rows(tmp_path / "labels.csv")] == [
        row["path"] for row in rows(run / "labels.csv")
    ]
    assert "held-out fold" in capsys.readouterr().out
    assert main(["labels", "--checkpoint", str(tmp_path), "--all"]) == 2


def test_an_edited_list_is_not_overwritten(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("catsdogs.workflows.labels._draw", lambda *_: False)
    words = ["labels", "--checkpoint", str(run), "--out", str(tmp_path / "l.csv")]
    assert main(words) == 0
    assert main(words) == 0
    text = (tmp_path / "l.csv").read_text()
    for edited in (
        text.replace("dog/1.png,dog", "dog/1.png,remove"),
        text.replace("\n", ",yes\n", 2).replace(",,yes", ",yes").replace("checked,yes", "checked"),
        text.replace(",", ";"),
    ):
        assert edited != text
        (tmp_path / "l.csv").write_text(edited)
        assert main(words) == 2
        assert "has been edited" in capsys.readouterr().err
        assert (tmp_path / "l.csv").read_text() == edited


def test_conflicts_that_were_corrected_are_none_any_more(run):
    from catsdogs.workflows.labels import conflicts_among

    records, audit = read_split(run / "split.csv"), AuditReport.load(run / "audit.json")
    assert set(conflicts_among(audit, records)) == {"cat/twin.png", "dog/twin.png"}
    assert not conflicts_among(audit, [record for record in records if record.id != "cat/twin.png"])


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--checkpoint", "nowhere"], "nowhere holds no run"),
        (["--checkpoint", "{run}/model"], "holds no run"),
        (["--checkpoint", "{run}", "--out", "labels.json"], "names the CSV"),
    ],
)
def test_mistakes(run, words, line, capsys):
    assert main(["labels", *[word.replace("{run}", str(run)) for word in words]]) == 2
    assert line in capsys.readouterr().err
