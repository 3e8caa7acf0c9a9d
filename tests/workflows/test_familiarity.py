"""Strange pictures are told from familiar ones by every strategy's model, in every kind of result."""

import csv
import json

import numpy as np
import pytest

import catsdogs
from catsdogs.cli.main import main
from catsdogs.core.predictions import Predictions
from catsdogs.data.splits import read_split
from catsdogs.models.familiar import load_familiarity
from catsdogs.models.modelfile import load_model
from catsdogs.workflows.familiarity import references
from catsdogs.workflows.runfolder import RunFolder

PICTURES = "drawn:cat,dog?per_class=70&size=48"
SMALL = ["--model.backbone", "test_resnet", "--model.weights", "none", "--model.input_size", "32"]
TUNED = ["--trainer.precision", "32-true", "--transfer.epochs", "1", "--transfer.batch_size", "16"]


@pytest.fixture(scope="module", params=["linear_probe", "finetune_full"])
def run(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / request.param
    words = [
        "train",
        "--data.root",
        PICTURES,
        *SMALL,
        "--transfer.strategy",
        request.param,
        "--run",
        str(folder),
    ]
    assert main([*words, *(TUNED if request.param == "finetune_full" else [])]) == 0
    return RunFolder(folder)


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """Pictures of nothing: coloured noise."""
    from PIL import Image

    folder, generator = tmp_path_factory.mktemp("noise"), np.random.default_rng(0)
    for number in range(12):
        Image.fromarray(generator.integers(0, 255, (48, 48, 3), dtype=np.uint8)).save(
            folder / f"{number}.png"
        )
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


def rows_of(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_model_knows_the_distances_of_validation_pictures(run) -> None:
    found, records = load_familiarity(run.model), read_split(run.split)
    assert len(found.distances) == sum(record.split == "val" for record in records)
    assert len(found.references) == sum(record.split == "train" for record in records)  # fewer than 300
    load_model(run.path)  # the network has no such tensors


def test_evaluation_tells_how_strange_each_picture_is(run) -> None:
    said = Predictions.load(run.path / "predictions.npz")
    assert ((said.unfamiliar >= 0) & (said.unfamiliar < 1)).all()
    told = [float(row["unfamiliar"]) for row in rows_of(run.path / "predictions.csv")]
    np.testing.assert_allclose(told, said.unfamiliar, rtol=1e-8)


def test_strange_pictures_stand_out_and_can_go_without_a_label(run, noise, tmp_path) -> None:
    words = ["predict", "--checkpoint", str(run.path), "--input", str(noise)]
    assert main([*words, "--output", str(tmp_path / "rows.csv"), "--unfamiliar-from", "0.9"]) == 0
    rows = rows_of(tmp_path / "rows.csv")
    assert [row["unfamiliar"] for row in rows if row["status"] == "error"] == [""]
    seen = [row for row in rows if row["status"] != "error"]
    assert np.mean([float(row["unfamiliar"]) for row in seen]) > 0.9
    for row in seen:
        withheld = float(row["unfamiliar"]) >= 0.9
        assert (row["status"], row["label"] == "") == (("abstain", True) if withheld else ("ok", False))
        assert row["reason"].startswith("unlike the pictures in training" if withheld else "")
    assert main([*words, "--output", str(tmp_path / "rows.jsonl")]) == 0
    lines = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert [line["unfamiliar"] for line in lines] == [
        float(row["unfamiliar"]) if row["unfamiliar"] else None for row in rows
    ]
    in_python = catsdogs.load(run.path, engine="torch").predict(noise).unfamiliar
    np.testing.assert_allclose(
        in_python, np.array([line["unfamiliar"] for line in lines], dtype=float), rtol=1e-8
    )


def test_more_views_make_no_picture_stranger(run) -> None:
    model = catsdogs.load(run.path, engine="torch", precision="fp32")
    plain, merged = (model.predict(PICTURES, tta=tta).unfamiliar for tta in ("none", "flip"))
    assert np.abs(plain - merged).mean() < 0.01


def test_a_model_without_it_says_so(run, noise, tmp_path, capsys) -> None:
    from catsdogs.models.modelfile import save_model

    save_model(tmp_path / "bare", *load_model(run.path))
    words = ["predict", "--checkpoint", str(tmp_path / "bare"), "--input", str(noise)]
    assert main([*words, "--output", str(tmp_path / "rows.csv")]) == 0
    assert "unfamiliar" not in rows_of(tmp_path / "rows.csv")[0]
    assert main([*words, "--output", str(tmp_path / "x.csv"), "--unfamiliar-from", "0.9"]) == 2
    assert "needs a model that knows strange pictures" in capsys.readouterr().err


def test_a_share_that_no_picture_reaches_is_refused(run, noise, tmp_path, capsys) -> None:
    highest = load_familiarity(run.model).highest
    words = ["predict", "--checkpoint", str(run.path), "--input", str(noise)]
    out = tmp_path / "x.csv"
    assert main([*words, "--output", str(out), "--unfamiliar-from", str(highest + 1e-4)]) == 2
    assert "would withhold nothing: this model compares with" in capsys.readouterr().err
    assert not out.exists()
    assert main([*words, "--output", str(out), "--unfamiliar-from", str(highest)]) == 0
    assert {row["status"] for row in rows_of(out)} >= {"abstain"}


def test_every_class_has_its_share_of_references() -> None:
    labels = np.repeat([0, 1, 2], [900, 500, 4])
    chosen = references(labels, seed=0)
    assert np.bincount(labels[chosen]).tolist() == [100, 100, 4]
    assert (np.diff(chosen) > 0).all()
    assert len(references(np.arange(100).repeat(30), seed=1)) == 1000
