"""An archive that breaks off: whoever goes through it is told, and works with what is there."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import catsdogs
from catsdogs.cli.main import main
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.data.audit import audit
from catsdogs.data.layouts import find_labelled
from catsdogs.models.backbones import create_backbone, feature_width
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HeadSpec
from catsdogs.models.modelcard import ModelCard
from catsdogs.models.modelfile import save_model

TOLD = "photos.tar: it is truncated; what lies behind is not there"


@pytest.fixture
def photos(tmp_path: Path) -> str:
    path = tmp_path / "photos.tar"
    chance = np.random.default_rng(0)
    with tarfile.open(path, "w") as archive:
        for name in ("cat/1.png", "dog/1.png", "cat/2.png", "dog/2.png", "dog/3.png"):
            data = io.BytesIO()
            Image.fromarray(chance.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(data, "PNG")
            info = tarfile.TarInfo(name)
            info.size = data.tell()
            data.seek(0)
            archive.addfile(info, data)
    with tarfile.open(path) as archive:
        last = archive.getmembers()[-1]
    path.write_bytes(path.read_bytes()[: last.offset_data + last.size // 2])
    return str(path)


@pytest.fixture
def model(tmp_path: Path) -> str:
    backbone, _ = create_backbone("test_resnet", input_size=32)
    spec = PreprocessSpec(32, 32, crop_fraction=0.8)
    classifier = ImageClassifier(backbone, build_head(feature_width(backbone), 2, HeadSpec()), spec).eval()
    save_model(tmp_path / "run" / "model", classifier, ModelCard("test_resnet", ("cat", "dog"), spec))
    return str(tmp_path / "run")


def test_before_training(photos: str) -> None:
    layout = find_labelled(photos)
    assert layout.problems == (photos.removesuffix("photos.tar") + TOLD,)
    assert layout.problems[0] in audit(layout.records, workers=1).warnings


@pytest.mark.parametrize("command", ["predict", "evaluate", "explain dense"])
def test_at_the_command_line(command: str, photos: str, model: str, tmp_path: Path, capsys) -> None:
    out = (
        ["--output", str(tmp_path / "rows.csv")] if command == "predict" else ["--out", str(tmp_path / "out")]
    )
    assert main([*command.split(), "--checkpoint", model, "--input", photos, *out]) == 0
    assert f"warning: {photos.removesuffix('photos.tar')}{TOLD}" in capsys.readouterr().out.replace("\n", "")


def test_in_python(photos: str, model: str) -> None:
    with pytest.warns(UserWarning, match=TOLD):
        predictions = catsdogs.load(model, precision="fp32").predict(photos)
    assert predictions.ids == ("cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png", "dog/3.png")
    assert predictions.errors == {4: "truncated"}
