"""``catsdogs robustness`` through the real command line."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from catsdogs.cli.main import main
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.core.records import ImageRecord
from catsdogs.core.robustnessreport import RobustnessReport
from catsdogs.data.splits import write_split
from catsdogs.models.backbones import create_backbone, feature_width
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HeadSpec
from catsdogs.models.modelcard import ModelCard
from catsdogs.models.modelfile import save_model
from catsdogs.reporting.figures import save_figure
from catsdogs.robustness.attacked import attack_all
from catsdogs.workflows import robustness
from catsdogs.workflows.stressing import measurements

CLASSES = ("cat", "dog", "fox")
FILES = {"robustness.json", "robustness.png", "robustness-corruptions.png", "robustness-attacks.png"}


@pytest.fixture(autouse=True)
def figures_as_they_fall(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save figures without laying them out, which takes longer than all else; others lay them out."""

    def save(figure: Figure, path: Path) -> None:
        figure.set_layout_engine("none")
        save_figure(figure, path)

    monkeypatch.setattr(robustness, "save_figure", save)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with a network that knows nothing, and a test picture a class and one that is broken."""
    torch.manual_seed(0)
    backbone, _ = create_backbone("test_resnet", input_size=32)
    spec = PreprocessSpec(32, 32, crop_fraction=0.8)
    head = build_head(feature_width(backbone), 3, HeadSpec())
    torch.nn.init.normal_(head.fc.weight)
    chance = np.random.default_rng(0)
    records = []
    for number in range(4):
        small = chance.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(small).resize((60, 50), Image.Resampling.BICUBIC).save(tmp_path / f"{number}.png")
        label = CLASSES[number % 3]
        records.append(ImageRecord(f"{number}.png", str(tmp_path), f"{number}.png", label, split="test"))
    (tmp_path / "3.png").write_bytes(b"nothing")
    folder = tmp_path / "run"
    save_model(
        folder / "model", ImageClassifier(backbone, head, spec), ModelCard("test_resnet", CLASSES, spec)
    )
    write_split(folder / "split.csv", records)
    return folder


def measured(run: Path, *words: str) -> int:
    return main(["robustness", "--checkpoint", str(run), "--precision", "fp32", *words])


@pytest.mark.slow
def test_one_picture_a_class_and_a_broken_file(run: Path, capsys) -> None:
    assert measured(run) == 0
    shown = capsys.readouterr().out
    report = RobustnessReport.load(run / "robustness.json")
    assert {path.name for path in run.iterdir() if "robustness" in path.name} == FILES
    assert (report.n, report.n_unreadable, report.of, report.split) == (3, 1, 4, "test")
    assert report.engine == "torch fp32"
    assert len(report.corruptions.series) == 10
    assert [step.pixels for step in report.shifts.steps] == [1, 2, 4, 8]
    assert report.shifts.room_px == 4
    assert report.corruptions.clean == report.shifts.clean == report.attacks.clean
    assert [check.name for check in report.checks if not check.passed] == []
    assert "8 of 8 checks of the measurement itself passed" in shown
    assert "points" in shown
    # Again, byte for byte.
    before = {name: (run / name).read_bytes() for name in FILES}
    assert measured(run) == 0
    assert {name: (run / name).read_bytes() for name in FILES} == before


def test_a_longer_attack_is_tried_on_pictures_of_all_classes(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def listened(attacker, card, records, labels, **how):
        tried.append(labels)
        return attack_all(attacker, card, records, labels, **how)

    monkeypatch.setattr(measurements, "attack_all", listened)
    monkeypatch.setattr(measurements, "_LONGER_ON", 2)
    assert measured(run, "--kinds", "attacks", "--out", str(tmp_path / "out")) == 0
    assert list(tried[1]) == [0, 2]  # the first and the last of three


def test_only_what_was_asked_for(run: Path, tmp_path: Path) -> None:
    words = ("--kinds", "shifts", "--limit", "2", "--out", str(tmp_path / "out"))
    assert measured(run, *words) == 0
    values = json.loads((tmp_path / "out" / "robustness.json").read_text())
    assert values["corruptions"] is values["attacks"] is None
    assert values["n"] + values["n_unreadable"] == 2
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"robustness.json", "robustness.png"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--kinds", "noise"], "--kinds 'noise': choose of corruptions, shifts, attacks"),
        (["--kinds", ","], "--kinds ',': choose of"),
        (["--limit", "0"], "--limit must be 1 or more, not 0"),
        (["--devices", "2"], "one process"),
        (["--split", "val"], "has no val pictures"),
        (["--engine", "abacus"], "engine 'abacus' is not one of"),
    ],
)
def test_mistakes_are_one_line(words: list[str], told: str, run: Path, capsys) -> None:
    assert measured(run, *words) == 2
    err = capsys.readouterr().err
    assert told in err
    assert err.count("\n") == 1
    assert not (run / "robustness.json").exists()


def test_pictures_that_nobody_can_read_are_one_line(run: Path, tmp_path: Path, capsys) -> None:
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(b"nothing")
    assert measured(run) == 2
    assert "none of the 4 pictures can be judged" in capsys.readouterr().err
