"""Prediction shared among processes: each picture once, and the same answers as from one process."""

import json
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image

from catsdogs.cli.main import main
from catsdogs.core.familiarity import Familiarity
from catsdogs.core.predictions import Predictions
from catsdogs.models.backbones import create_backbone, feature_width
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HeadSpec
from catsdogs.models.modelcard import ModelCard
from catsdogs.models.modelfile import save_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    backbone, spec = create_backbone("test_resnet", input_size=32)
    width = feature_width(backbone)
    head = build_head(width, 2, HeadSpec())
    folder = tmp_path_factory.mktemp("model")
    card = ModelCard("test_resnet", ("cat", "dog"), spec)
    familiarity = Familiarity.learn(*np.random.default_rng(0).random((2, 30, width)))
    save_model(folder, ImageClassifier(backbone, head, spec), card, familiarity=familiarity)
    return folder


def predicted(words, capsys, *, alone):
    """Return what the command said; two processes need a process that starts them."""
    if alone:
        assert main(words) == 0
        return capsys.readouterr().out
    done = subprocess.run(
        [sys.executable, "-m", "catsdogs", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("pictures", [5, 1])
def test_two_processes_answer_as_one(model, tmp_path, pictures, capsys):
    photos = tmp_path / "photos"
    photos.mkdir()
    chance = np.random.default_rng(0)
    for number in range(pictures):
        pixels = chance.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(photos / f"{number}.png")
    if pictures > 1:
        (photos / "2-broken.jpg").write_bytes(b"not a picture")
    written = []
    for devices in ("1", "2"):
        output = tmp_path / f"{devices}.csv"
        words = ["predict", "--checkpoint", str(model), "--input", str(photos), "--output", str(output)]
        words += ["--devices", devices, "--precision", "fp32", "--tta", "flip"]
        words += ["--save-features", str(tmp_path / f"{devices}-features.npz")]
        assert predicted(words, capsys, alone=devices == "1").count("written:") == 1
        written.append(output.read_bytes())
    assert written[0] == written[1]
    assert b",unfamiliar,status" in written[0]
    one, two = (np.load(tmp_path / f"{devices}-features.npz") for devices in ("1", "2"))
    assert bytes(one["ids"]) == bytes(two["ids"])
    np.testing.assert_array_equal(one["features"], two["features"])
    assert len(written[0].splitlines()) == 1 + len(list(photos.iterdir()))


@pytest.mark.slow
def test_two_processes_judge_and_learn_as_one(model, tmp_path, capsys):
    """Dense views take two passes: rank 1 must not leave between them, nor fail with nothing to say."""
    photos = labelled(tmp_path / "photos", 12)
    reports, strange = [], []
    for devices in ("1", "2"):
        copy = tmp_path / devices
        shutil.copytree(model, copy)
        common = ["--checkpoint", str(copy), "--input", str(photos), "--devices", devices]
        common += ["--precision", "fp32", "--engine", "torch"]
        out = tmp_path / f"out-{devices}"
        words = ["evaluate", *common, "--tta", "dense:64", "--out", str(out)]
        assert predicted(words, capsys, alone=devices == "1").count("written to") == 1
        report = json.loads((out / "evaluation.json").read_text())
        assert report["engine"] == "torch fp32"
        reports.append(report)
        strange.append(Predictions.load(out / "predictions.npz").unfamiliar)
        assert predicted(["tta", "fit", *common, "--tta", "flip"], capsys, alone=devices == "1")
    np.testing.assert_allclose(strange[0], strange[1], atol=0.05)
    for name, figure in reports[0]["metrics"].items():
        assert reports[1]["metrics"][name]["value"] == pytest.approx(figure["value"], rel=1e-5)
    assert reports[1]["views"]["gain"]["log_loss"] == pytest.approx(
        reports[0]["views"]["gain"]["log_loss"], rel=1e-2
    )
    one, two = (json.loads((tmp_path / devices / "model.json").read_text()) for devices in ("1", "2"))
    for a, b in zip(one["view_weights"], two["view_weights"], strict=True):
        assert a["weights"] == pytest.approx(b["weights"], abs=1e-4)


@pytest.mark.slow
def test_two_interrupted_processes_leave_rows_and_go_on(model, tmp_path):
    photos = labelled(tmp_path / "photos", 600)
    place = ["--checkpoint", str(model), "--input", str(photos), "--devices", "2", "--precision", "fp32"]
    command = [sys.executable, "-m", "catsdogs", "predict", *place]
    whole, output = tmp_path / "whole.csv", tmp_path / "rows.csv"
    assert (
        subprocess.run([*command, "--output", str(whole)], check=False, capture_output=True).returncode == 0
    )
    with subprocess.Popen(
        [*command, "--output", str(output), "--tta", "none"], stderr=subprocess.PIPE
    ) as going:
        while not all(lines(journal) > 3 for journal in (journals(tmp_path) or [tmp_path])):
            time.sleep(0.05)
        going.send_signal(signal.SIGINT)
        told = going.communicate()[1].decode()
    assert going.returncode == 130, told
    assert "--resume goes on from there" in told
    assert whole.read_bytes().startswith((tmp_path / "rows.partial.csv").read_bytes())
    done = subprocess.run([*command, "--output", str(output), "--resume"], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert output.read_bytes() == whole.read_bytes()


def journals(folder):
    found = sorted(folder.glob("rows.journal-*"))
    return found if len(found) == 2 else []


def lines(path):
    return path.read_bytes().count(b"\n") if path.is_file() else 0


def labelled(folder, count):
    chance = np.random.default_rng(1)
    for number in range(count):
        place = folder / ("cat", "dog")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(chance.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(place / f"{number}.png")
    return folder
