"""Prediction shared among processes: each picture once, and the same answers as from one process."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from catsdogs.cli.main import main
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
    head = build_head(feature_width(backbone), 2, HeadSpec())
    folder = tmp_path_factory.mktemp("model")
    save_model(folder, ImageClassifier(backbone, head, spec), ModelCard("test_resnet", ("cat", "dog"), spec))
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


@pytest.mark.parametrize("pictures", [pytest.param(5, marks=pytest.mark.slow), 1])
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
    one, two = (np.load(tmp_path / f"{devices}-features.npz") for devices in ("1", "2"))
    assert bytes(one["ids"]) == bytes(two["ids"])
    np.testing.assert_array_equal(one["features"], two["features"])
    assert len(written[0].splitlines()) == 1 + len(list(photos.iterdir()))
