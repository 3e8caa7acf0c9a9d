"""A model to build on: the backbone of a run is the start of the next one."""

import json

import pytest
import torch

from catsdogs.cli.main import main
from catsdogs.models.modelcard import load_card
from catsdogs.models.modelfile import load_model
from catsdogs.models.networkspec import CNN
from catsdogs.workflows.weights import names_model

DRAWN = ["--data.root", "drawn:cat,dog?per_class=20&size=40", "--data.workers", "0"]
FIRST = ["--model.backbone", CNN, "--model.input_size", "32", "--network.width", "4", "--network.depth", "2"]
SCRATCH = ["--transfer.strategy", "from_scratch", "--transfer.epochs", "1", "--trainer.precision", "32-true"]


def train(folder, *options):
    return main(["train", *DRAWN, *options, "--run", str(folder)])


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights") / "first"
    assert train(folder, *FIRST, "--model.weights", "none", *SCRATCH) == 0
    return folder


def test_a_probe_keeps_the_backbone_its_network_and_its_size(first, tmp_path):
    run = tmp_path / "second"
    assert train(run, "--model.weights", str(first), "--transfer.strategy", "linear_probe") == 0
    (old, old_card), (new, new_card) = load_model(first), load_model(run)
    assert (new_card.backbone, new_card.network) == (old_card.backbone, old_card.network)
    assert new_card.preprocess == old_card.preprocess
    assert not new_card.embedded
    before, after = old.backbone.state_dict(), new.backbone.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert not torch.equal(old.head.state_dict()["fc.weight"], new.head.state_dict()["fc.weight"])


def test_another_size_is_taken_and_from_scratch_forgets_the_weights(first, tmp_path):
    run = tmp_path / "fresh"
    assert train(run, "--model.weights", str(first), "--model.input_size", "40", *SCRATCH) == 0
    card = load_card(run)
    assert card.preprocess.height_px == 40
    assert card.network == load_card(first).network
    assert json.loads((run / "plan.json").read_text())["strategy"] == "from_scratch"


def test_folders_of_the_names_of_weights_change_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("hub", "none"):
        (tmp_path / name).mkdir()
        assert not names_model(name)


def test_what_cannot_be_built_on_is_one_line(first, tmp_path, capsys):
    def told(*options):
        assert train(tmp_path / "run", *options) == 2
        return capsys.readouterr().err.strip().splitlines()[-1]

    probe = ["--transfer.strategy", "linear_probe"]
    other = told("--model.weights", str(first), "--model.backbone", "test_resnet", *probe)
    assert f"is a {CNN}; leave out --model.backbone" in other
    framed = told("--model.weights", str(first), "--model.framing", "crop", *probe)
    assert "a model keeps the framing that it has learned" in framed
    assert "holds no model" in told("--model.weights", str(tmp_path), *probe)
    lower = tmp_path / "lower"
    staged = ["--transfer.strategy", "stage_probe", "--transfer.stages", "2"]
    assert train(lower, "--model.weights", str(first), *staged) == 0
    capsys.readouterr()
    assert "a backbone to build on needs all" in told("--model.weights", str(lower), *probe)
