"""The real photos that several tests use."""

import csv
import random
import zipfile
from pathlib import Path

import pytest

from catsdogs.cli.main import main
from catsdogs.core.report import EvaluationReport


@pytest.fixture(scope="session")
def photos(real):
    return real / "data" / "dogs-vs-cats" / "train.zip"


@pytest.fixture(scope="session")
def unseen(real, photos, tmp_path_factory):
    """A manifest of 2,000 photos of the public archive that are not among the training photos."""
    archive = real / "data" / "kagglecatsanddogs.zip"
    with zipfile.ZipFile(photos) as train, zipfile.ZipFile(archive) as every:
        seen = {tuple(Path(name).name.split(".")[:2]) for name in train.namelist()}
        names = sorted(
            info.filename for info in every.infolist() if info.file_size and info.filename.endswith(".jpg")
        )
    fresh = [name for name in names if (Path(name).parent.name.lower(), Path(name).stem) not in seen]
    random.Random(0).shuffle(fresh)
    manifest = tmp_path_factory.mktemp("unseen") / "unseen.csv"
    with manifest.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["path", "label"])
        rows.writerows([f"{archive}/{name}", Path(name).parent.name] for name in fresh[:2000])
    return manifest


@pytest.fixture(scope="session")
def backbone(real):
    return [
        "--model.backbone",
        "mobilenetv2_100",
        "--model.weights",
        str(real / "weights" / "mobilenetv2_100.safetensors"),
    ]


@pytest.fixture
def figures():
    """Evaluate a run and return its metrics."""

    def evaluate(run, out, *more):
        assert main(["evaluate", "--checkpoint", str(run), "--out", str(out), *more]) == 0
        return EvaluationReport.load(out / "evaluation.json").metrics

    return evaluate
