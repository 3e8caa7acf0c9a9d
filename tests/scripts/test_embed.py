"""The model that the package carries: ready to use, to build on, and honest about what it has seen."""

import csv
import json
import shutil
from collections import Counter

import numpy as np
import pytest
from embed import pack

import catsdogs
from catsdogs.cli.main import main
from catsdogs.data.seen import SeenPictures
from catsdogs.models import embedded, modelcard
from catsdogs.models.familiar import load_familiarity
from catsdogs.models.modelcard import load_card
from catsdogs.models.modelfile import load_model
from catsdogs.workflows import seen

pytestmark = pytest.mark.slow  # a script for those who make the embedded model

SEEN = "drawn:cat,dog?per_class=72&size=64"
OTHERS = "drawn:cat,dog?per_class=24&size=64&seed=5"
SMALL = ["--model.backbone", "catsdogs_cnn", "--model.weights", "none", "--model.input_size", "32"]
ONCE = ["--transfer.strategy", "from_scratch", "--transfer.epochs", "1", "--data.workers", "0"]
PROBE = ["--transfer.strategy", "linear_probe", "--data.workers", "0"]


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """What scripts/embed.py makes of a run."""
    folder = tmp_path_factory.mktemp("embedded")
    run = folder / "run"
    assert main(["train", "--data.root", SEEN, *SMALL, *ONCE, "--run", str(run)]) == 0
    pack(run, folder / "packed", 48)
    return run, folder / "packed"


@pytest.fixture
def carried(packed, monkeypatch, tmp_path):
    """The package carries the packed model."""
    for module in (embedded, modelcard, seen):
        monkeypatch.setattr(module, "embedded_folder", lambda: packed[1])
    monkeypatch.chdir(tmp_path)
    return packed[1]


def rows_of(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def said(capsys):
    return capsys.readouterr().out


def test_packing_halves_the_file_and_hardly_moves_the_weights(packed):
    run, folder = packed
    (old, _), (new, card) = load_model(run), load_model(folder)
    size = (folder / "model.safetensors").stat().st_size
    assert size < 0.55 * (run / "model" / "model.safetensors").stat().st_size
    assert card.embedded
    assert card.preprocess.height_px == 48
    before, after = old.state_dict(), new.state_dict()
    for name, value in before.items():
        assert after[name].dtype == value.dtype
        np.testing.assert_allclose(after[name], value, rtol=1e-3, atol=1e-4)
    split = rows_of(run / "split.csv")
    learned = [row for row in split if row["split"] != "test"]
    assert len(SeenPictures.load(folder / "seen.npz").signatures) == len(learned)


def test_strange_pictures_are_known_at_the_size_of_the_packed_model(packed):
    run, folder = packed
    familiarity = load_familiarity(folder)
    counts = Counter(row["split"] for row in rows_of(run / "split.csv"))
    assert len(familiarity.references) == counts["train"]
    assert len(familiarity.distances) == counts["val"]
    assert not np.array_equal(familiarity.distances, load_familiarity(run / "model").distances)


def test_it_predicts_without_a_checkpoint(carried, capsys, tmp_path):
    assert main(["draw", "--out", "drawings", "--per_class", "3", "--size", "64"]) == 0
    assert main(["predict", "--input", "drawings", "--output", "rows.csv"]) == 0
    rows = rows_of(tmp_path / "rows.csv")
    assert len(rows) >= 6
    assert {row["status"] for row in rows} == {"ok"}
    assert all(0 <= float(row["unfamiliar"]) < 1 for row in rows)
    assert len(catsdogs.load().predict("drawings")) == len(rows)


def test_evaluation_names_and_leaves_out_what_it_has_seen(packed, carried, capsys, tmp_path):
    tests = [row for row in rows_of(packed[0] / "split.csv") if row["split"] == "test"]
    assert main(["evaluate", "--input", SEEN]) == 0
    told = said(capsys)
    assert f"left out: {144 - len(tests)} of 144 pictures" in told
    written = json.loads(next(tmp_path.glob("evaluation-*/evaluation.json")).read_text())
    assert written["n"] == len(tests)
    assert main(["evaluate", "--input", OTHERS, "--out", "others"]) == 0
    assert "left out" not in said(capsys)


def test_nothing_is_left_to_judge_it_by(carried, capsys, monkeypatch):
    monkeypatch.setattr(SeenPictures, "contains", lambda _, thumbnails: np.ones(len(thumbnails), dtype=bool))
    assert main(["evaluate", "--input", OTHERS]) == 2
    assert "learned from all of these pictures" in capsys.readouterr().err


def test_what_builds_on_it_is_not_judged_by_what_it_has_seen(carried, capsys, tmp_path):
    words = ["train", "--model.weights", "embedded", *PROBE]
    assert main([*words, "--data.root", SEEN, "--seed", "1", "--run", "again"]) == 0
    told = said(capsys)
    assert "warning: the embedded weights have learned from" in told
    assert "left out" in told
    assert load_card(tmp_path / "again").embedded
    assert main([*words, "--data.root", OTHERS, "--run", "new"]) == 0
    told = said(capsys)
    assert "flatters" not in told
    assert "left out" not in told
    assert json.loads((tmp_path / "new" / "summary.json").read_text())["test"]


def test_a_folder_of_that_name_comes_first(packed, carried, tmp_path):
    shutil.copytree(packed[0], tmp_path / "embedded")
    assert not load_card("embedded").embedded


def test_a_model_without_pictures_of_its_own_asks_for_some(carried, capsys):
    assert main(["evaluate"]) == 2
    assert "give a run folder, or pictures with --input" in capsys.readouterr().err
