"""``catsdogs diagnose`` and the diagnosis at the end of a training, through the real command line."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from catsdogs.cli.main import main
from catsdogs.data.presets import PRESETS
from catsdogs.transfer.strategies import FreezePlan, Phase
from catsdogs.workflows import diagnose

EPOCHS = range(20)
FALLING = [(1 - 0.02 * n, 1.02 - 0.02 * n) for n in EPOCHS]
EASY = [(0.4 + np.exp(-n / 3), 0.1 + np.exp(-n / 3)) for n in EPOCHS]
OVERFITTED = [(np.exp(-n / 4), 0.3 + np.exp(-min(n, 8) / 4) + 0.05 * max(n - 8, 0)) for n in EPOCHS]
HEAD = Phase(4, ())
ALL = Phase(16, (0, 1, 2))


def write(path, losses):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["epoch", "train_loss", "val_loss"])
        writer.writerows([epoch, *pair] for epoch, pair in enumerate(losses))
    return str(path)


def a_run(folder, losses, *phases, augmentation="light"):
    """Write what diagnose reads of a run."""
    write(folder / "metrics.csv", losses)
    plan = {"augmentation": PRESETS[augmentation].to_dict(), "freeze_plan": FreezePlan(phases).to_list()}
    (folder / "plan.json").write_text(json.dumps(plan))
    return str(folder)


def said(capsys, *words):
    assert main(["diagnose", *words]) == 0
    return capsys.readouterr().out.splitlines()


def test_any_csv_is_named_with_its_evidence(tmp_path, capsys):
    lines = said(capsys, write(tmp_path / "any.csv", FALLING))
    assert lines[0] == "diagnosis: underfitting (still falling)"
    assert "the training loss fell by 0.1" in lines[1]
    assert any("the file counts from 0" in line for line in lines)


def test_the_figure_is_drawn_where_it_is_wanted(tmp_path, capsys):
    assert "drawn: " not in "".join(said(capsys, write(tmp_path / "any.csv", OVERFITTED)))
    said(capsys, str(tmp_path / "any.csv"), "--out", str(tmp_path / "new" / "c.png"))
    with Image.open(tmp_path / "new" / "c.png") as picture:
        assert min(picture.size) > 300


def test_several_are_told_apart_and_drawn_into_a_folder(tmp_path, capsys):
    first = a_run(tmp_path / "first", OVERFITTED, ALL)
    second = write(tmp_path / "second" / "metrics.csv", FALLING)
    lines = said(capsys, first, second, "--out", str(tmp_path / "figures"))
    assert f"{first}: overfitting from epoch 10" in lines
    assert f"{second}: underfitting (still falling)" in lines
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == ["first.png", "second.png"]
    said(capsys, write(tmp_path / "third.csv", FALLING), "--out", str(tmp_path / "figures"))
    assert (tmp_path / "figures" / "third.png").is_file()


def test_a_runs_plan_says_when_layers_were_unfrozen(tmp_path, capsys, monkeypatch):
    marked = []
    right = diagnose.draw_curves

    def noting(curve, found, *, unfrozen, **more):
        marked.extend(unfrozen)
        return right(curve, found, unfrozen=unfrozen, **more)

    monkeypatch.setattr(diagnose, "draw_curves", noting)
    slower = Phase(3, (0, 1, 2), rate=0.1)
    run = a_run(tmp_path / "run", OVERFITTED, HEAD, Phase(3, (2,)), slower, slower)
    said(capsys, run, "--out", str(tmp_path / "c.png"))
    assert marked == [5, 8]


@pytest.mark.parametrize(
    ("augmentation", "title"),
    [("light", "good fit"), ("none", "unrepresentative validation set (easier than training)")],
)
def test_augmented_training_may_be_harder_than_validation(tmp_path, capsys, augmentation, title):
    run = a_run(tmp_path / "run", EASY, ALL, augmentation=augmentation)
    assert said(capsys, run)[0] == f"diagnosis: {title}"
    # The table alone, where it lies in its run, says the same.
    assert said(capsys, f"{run}/metrics.csv")[0] == f"diagnosis: {title}"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["nothing.csv"], "nothing.csv cannot be read: No such file or directory"),
        (["empty"], "empty has no metrics.csv: give a run that trained by gradients, or a CSV file"),
        (["other.csv"], "other.csv has no column val_loss; it has epoch, loss"),
        (["a/metrics.csv", "b/a.csv", "--out", "figures"], "two of the curves have the same name: draw them"),
        (["a/metrics.csv", "--out", "other.csv/c.png"], "other.csv"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, capsys, monkeypatch, words, line):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "other.csv").write_text("epoch,loss\n0,1\n")
    write(tmp_path / "a" / "metrics.csv", FALLING)
    write(tmp_path / "b" / "a.csv", FALLING)
    assert main(["diagnose", *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("catsdogs: ")
    assert line in error
    assert error.count("\n") == 1
    assert not (tmp_path / "figures").exists()


def test_diagnosing_needs_no_torch(tmp_path):
    path = write(tmp_path / "any.csv", FALLING)
    code = f"""
import sys
from catsdogs.cli.main import main
assert main(["diagnose", {path!r}]) == 0
assert not {{"torch", "lightning", "timm", "sklearn"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_training_ends_with_its_diagnosis(tmp_path, capsys):
    words = ["--data.root", "drawn:cat,dog?per_class=16&size=48", "--data.workers", "0"]
    words += ["--model.backbone", "test_resnet", "--model.weights", "none", "--model.input_size", "32"]
    words += ["--transfer.strategy", "finetune_full", "--transfer.epochs", "2", "--transfer.batch_size", "8"]
    run = tmp_path / "run"
    assert main(["train", *words, "--run", str(run)]) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("diagnosis: ")]
    assert len(told) == 1
    found = json.loads((run / "summary.json").read_text())["diagnosis"]
    assert set(found) == {"name", "form", "epoch", "evidence"}
    assert found["name"] == "too short to judge"
    assert found["name"] in told[0]
    assert found["evidence"][0] in told[0]
    with (run / "metrics.csv").open() as stream:
        assert all(float(row["learning_rate"]) > 0 for row in csv.DictReader(stream))
    assert said(capsys, str(run))[0].startswith(f"diagnosis: {found['name']}")
