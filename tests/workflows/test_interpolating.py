"""Weights between the start and the trained ones, through the real command line."""

import json

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from catsdogs.cli.main import main
from catsdogs.core.interpolation import POSITIONS
from catsdogs.core.temperature import fit_temperature
from catsdogs.data.splits import read_split
from catsdogs.models.modelcard import load_card
from catsdogs.models.modelfile import load_model, save_model
from catsdogs.workflows.applying import apply
from catsdogs.workflows.applyoptions import ApplyOptions

RUN = [
    *["train", "--data.root", "drawn:cat,dog?per_class=30&size=40", "--data.workers", "0"],
    *["--model.weights", "none", "--model.backbone", "test_resnet", "--model.input_size", "32"],
    *["--transfer.batch_size", "8", "--transfer.epochs", "2", "--transfer.learning_rate", "0.003"],
    *["--trainer.deterministic", "true", "--trainer.precision", "32-true"],
]


def run(place, *words, strategy="finetune_top"):
    assert main([*RUN, "--transfer.strategy", strategy, *words, "--run", str(place)]) == 0
    return place


def tensors(place):
    return load_model(place)[0].state_dict()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return run(tmp_path_factory.mktemp("runs") / "trained", "--averaging.interpolation", "1")


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    return run(tmp_path_factory.mktemp("runs") / "judged")


def test_a_position_that_was_asked_for_is_on_the_straight_line_and_what_is_frozen_stays_exact(
    tmp_path, trained, capsys
):
    part = run(tmp_path / "part", "--averaging.interpolation", "0.3")
    assert "30% of the way from the start to the trained weights is kept, as asked" in capsys.readouterr().out
    start, end, found = (tensors(place) for place in (part / "checkpoints" / "start", trained, part))
    moved = 0
    for name, value in found.items():
        if torch.equal(start[name], end[name]):
            assert torch.equal(value, end[name]), name
        elif value.is_floating_point():
            torch.testing.assert_close(value, 0.7 * start[name] + 0.3 * end[name], rtol=1e-5, atol=1e-6)
            moved += 1
    assert 4 < moved < len(found), "some layers trained, others did not"
    assert load_card(part).temperature != load_card(trained).temperature


def test_validation_judges_each_position_by_its_calibrated_loss(judged, trained, tmp_path):
    """Made again from the files of two runs: weights, answers, temperature."""
    found = load_card(judged).training["interpolation"]
    records = [one for one in read_split(judged / "split.csv") if one.split == "val"]
    assert found["pictures"] == len(records) > 0
    classifier, card = load_model(trained)
    start, end = tensors(judged / "checkpoints" / "start"), dict(tensors(trained))
    for position in (POSITIONS[0], POSITIONS[-1]):
        mixed = {
            name: start[name] + position * (value - start[name]) if value.is_floating_point() else value
            for name, value in end.items()
        }
        classifier.load_state_dict(mixed)
        save_model(tmp_path / str(position), classifier, card)
        exact = ApplyOptions(engine="torch", precision="fp32")
        said = apply(tmp_path / str(position), records, exact, advance=lambda _: None).predictions
        labels = np.array([card.class_names.index(one.label) for one in records])
        logits = said.logits * card.temperature
        calibrated = log_softmax(logits / fit_temperature(logits, labels), axis=1)
        loss = -calibrated[np.arange(len(labels)), labels].mean()
        assert found["log_losses"][str(position)] == pytest.approx(loss, rel=1e-4)


def test_the_page_tells_how_far_it_went_and_what_every_position_lost(judged, tmp_path):
    assert main(["report", str(judged), "--out", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text()
    found = load_card(judged).training["interpolation"]
    assert "Interpolation: " in page
    assert all(f"{loss:.4f}" in page for loss in found["log_losses"].values())


def test_a_run_that_was_killed_afterwards_is_not_interpolated_again(judged):
    before = (judged / "model" / "model.safetensors").read_bytes()
    position = load_card(judged).training["interpolation"]["position"]
    (judged / "summary.json").unlink()
    assert main(["train", "--resume", str(judged)]) == 0
    assert (judged / "model" / "model.safetensors").read_bytes() == before
    summary = json.loads((judged / "summary.json").read_text())
    assert summary["training"]["interpolation"]["position"] == position


def test_without_validation_pictures_the_trained_weights_are_kept(tmp_path):
    place = run(tmp_path / "run", "--data.val_fraction", "0")
    assert "interpolation" not in load_card(place).training


@pytest.mark.parametrize("words", [["finetune_full", "--model.head", "mlp"], ["from_scratch"]])
def test_a_head_from_random_numbers_is_no_start(tmp_path, capsys, words):
    asked = [*RUN, "--run", str(tmp_path / "run"), "--transfer.strategy", *words]
    assert main([*asked, "--averaging.interpolation", "0.5"]) == 2
    assert "this head starts from random numbers" in capsys.readouterr().err
    assert main(asked) == 0
    assert "interpolation" not in load_card(tmp_path / "run").training


@pytest.mark.parametrize("position", ["0", "1.5", "half"])
def test_positions_off_the_line_are_refused(tmp_path, capsys, position):
    assert main([*RUN, "--run", str(tmp_path / "run"), "--averaging.interpolation", position]) == 2
    assert "interpolation" in capsys.readouterr().err
