"""The automatic choice through the real command line, on drawn animals."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from catsdogs.cli.main import main
from catsdogs.data.splits import read_split
from catsdogs.models.modelcard import load_card
from catsdogs.transfer.strategies import STRATEGIES

SMALL = ["--model.backbone", "test_resnet", "--model.weights", "none", "--model.input_size", "32"]
ROOT = "drawn:cat,dog?per_class=40&size=48"


def train(run, *more, root=ROOT):
    return main(["train", "--data.root", str(root), *SMALL, "--run", str(run), *more])


def plan_of(run):
    return json.loads((run / "plan.json").read_text())


def test_the_default_measures_and_chooses(tmp_path, capsys):
    run = tmp_path / "auto"
    assert train(run) == 0
    plan, printed = plan_of(run), capsys.readouterr().out
    choice = plan["choice"]
    assert plan["strategy"] == choice["strategy"]
    assert not STRATEGIES[plan["strategy"]].trains_backbone  # 56 pictures are too few
    assert choice["decided_by"] == "cross-validation"
    assert choice["runner_up"] in STRATEGIES
    assert 0 <= choice["confidence"] <= 1
    assert plan["cell"]["name"] == "little and different"  # random features
    assert "LogME" in printed
    assert f"{plan['cell']['name']}: {plan['strategy']}" in printed
    with Image.open(run / "evidence.png") as figure:
        assert figure.width > 900
    assert tuple(plan["probe"]["stages"]) == load_card(run).stages


def test_a_bake_off_uses_the_training_pictures_alone(tmp_path, monkeypatch):
    run = tmp_path / "contest"
    seen = []
    from catsdogs.workflows import bakeoff

    write = bakeoff.write_split
    monkeypatch.setattr(
        bakeoff, "write_split", lambda path, records: (seen.extend(records), write(path, records))
    )
    judges = []
    interpolate = bakeoff.interpolate
    monkeypatch.setattr(
        bakeoff,
        "interpolate",
        lambda place, records: (judges.extend(records), interpolate(place, records)),
    )
    borders = ["--transfer.thresholds.plenty", "20", "--transfer.epochs", "2", "--transfer.batch_size", "8"]
    assert train(run, *borders) == 0
    plan = plan_of(run)
    contest = plan["bake_off"]
    training = {record.id for record in read_split(run / "split.csv") if record.split == "train"}
    assert {record.id for record in seen} == training
    parts = {split: {record.id for record in seen if record.split == split} for split in ("train", "test")}
    assert len(parts["train"]) == contest["trained_on"]
    assert len(parts["test"]) == contest["held_out"]
    assert {record.id for record in judges} == parts["test"], "it is asked as a run of its own would be"
    assert not parts["train"] & parts["test"]
    assert contest["epochs"] == 1
    winner = contest["tuned_log_loss"] < contest["frozen_log_loss"]
    assert (plan["strategy"] == contest["strategy"]) == winner
    assert plan["choice"]["decided_by"] == "bake-off"
    assert not (run / "bakeoff").exists()


def test_without_a_bake_off_the_best_probe_is_taken(tmp_path):
    run = tmp_path / "quick"
    more = ["--transfer.thresholds.plenty", "20", "--transfer.bake_off", "false"]
    assert train(run, *more) == 0
    assert "bake_off" not in plan_of(run)
    assert not STRATEGIES[plan_of(run)["strategy"]].trains_backbone


def test_too_few_of_a_class_hold_no_bake_off(tmp_path):
    run = tmp_path / "few"
    more = ["--transfer.thresholds.plenty", "2", "--data.val_fraction", "0"]
    assert train(run, *more, root="drawn:cat,dog?per_class=4&size=48") == 0
    assert "bake_off" not in plan_of(run)


@pytest.fixture
def photos(tmp_path):
    """A manifest of 48 noisy pictures, light ones and dark ones, whose splits are fixed."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(48):
        label = ("dark", "light")[number % 2]
        noise = rng.integers(0, 200, (40, 40, 3)) + 55 * (number % 2)
        Image.fromarray(noise.astype(np.uint8)).save(tmp_path / f"{number}.png")
        rows.append([f"{number}.png", label, "test" if number >= 36 else "val" if number >= 30 else "train"])
    manifest = tmp_path / "photos.csv"
    with manifest.open("w", newline="") as stream:
        csv.writer(stream).writerows([["path", "label", "split"], *rows])
    return manifest


def test_the_test_pictures_have_no_say(tmp_path, photos):
    kept = ("evidence", "cell", "choice", "probe", "strategy")
    assert train(tmp_path / "before", root=photos) == 0
    rng = np.random.default_rng(1)
    for number in range(36, 48):
        other = rng.integers(0, 256, (40, 40, 3)).astype(np.uint8)
        Image.fromarray(other).save(tmp_path / f"{number}.png")
    assert train(tmp_path / "after", root=photos) == 0
    before, after = plan_of(tmp_path / "before"), plan_of(tmp_path / "after")
    assert {key: before[key] for key in kept} == {key: after[key] for key in kept}


def test_a_second_run_asks_the_backbone_nothing(tmp_path, photos, monkeypatch):
    monkeypatch.setenv("CATSDOGS_CACHE", str(tmp_path / "cache"))
    assert train(tmp_path / "first", root=photos) == 0
    from catsdogs.transfer import features

    monkeypatch.setattr(features, "batches", lambda *_, **__: pytest.fail("pictures were decoded again"))
    assert train(tmp_path / "second", root=photos) == 0
    assert plan_of(tmp_path / "first")["evidence"] == plan_of(tmp_path / "second")["evidence"]


@pytest.mark.parametrize("strategy", ["stage_probe", "svm_probe"])
def test_a_head_on_an_earlier_stage_is_a_model_like_any_other(tmp_path, photos, strategy, capsys):
    run = tmp_path / "early"
    assert train(run, "--transfer.strategy", strategy, "--transfer.stages", "2", root=photos) == 0
    card = load_card(run)
    assert card.stages == ("2",)
    if strategy == "stage_probe":
        whole = tmp_path / "whole"
        assert train(whole, "--transfer.strategy", "linear_probe", root=photos) == 0
        sizes = [Path(one, "model", "model.safetensors").stat().st_size for one in (run, whole)]
        assert sizes[0] < sizes[1]
    output = tmp_path / "out.csv"
    words = ["--checkpoint", str(run), "--input", str(tmp_path / "1.png"), "--output", str(output)]
    assert main(["predict", *words, "--tta", "flip"]) == 0
    assert main(["evaluate", "--checkpoint", str(run)]) == 0
    assert "flatter" not in capsys.readouterr().out
    assert main(["evaluate", "--checkpoint", str(run), "--split", "val"]) == 0
    assert "has learned from the val pictures" in capsys.readouterr().out
    with output.open() as stream:
        assert [row["status"] for row in csv.DictReader(stream)] == ["ok"]


def test_a_stage_that_is_not_there_is_named(tmp_path, photos, capsys):
    more = ["--transfer.strategy", "stage_probe", "--transfer.stages", "9"]
    assert train(tmp_path / "none", *more, root=photos) == 2
    assert "stage 9 is not one of 1, 2, 3, 4, top" in capsys.readouterr().err
