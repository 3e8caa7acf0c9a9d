"""A learning rate that a run finds for itself, through the real command line."""

import json
import math

import pytest
from PIL import Image

from catsdogs.cli.main import main
from catsdogs.workflows import rate


@pytest.fixture(autouse=True)
def short_sweep(monkeypatch):
    """The rate rises as far in fewer steps."""
    monkeypatch.setattr(rate, "STEPS", 30)


def test_a_run_trains_with_the_rate_that_it_found(tmp_path):
    run = tmp_path / "run"
    words = ["train", "--data.root", "drawn:cat,dog?per_class=20&size=40", "--run", str(run)]
    words += ["--data.workers", "0"]
    words += ["--model.backbone", "test_resnet", "--model.weights", "none", "--model.input_size", "32"]
    words += ["--transfer.strategy", "finetune_full", "--transfer.epochs", "1", "--transfer.batch_size", "8"]
    assert main([*words, "--transfer.learning_rate", "find"]) == 0
    plan = json.loads((run / "plan.json").read_text())
    sweep = plan["rate_sweep"]
    assert len(sweep["rates"]) == len(sweep["losses"]) > 10
    assert sweep["rates"][0] == pytest.approx(1e-6)
    assert plan["recipe"]["learning_rate"] == (sweep["found"] or 1e-4)
    with Image.open(run / "rates.png") as figure:
        assert figure.width > 400


def test_the_sweep_minimises_what_the_run_does(tmp_path, monkeypatch):
    """The loss of an auxiliary classifier counts in it: at a weight of 1,000 there is hardly another."""
    run = tmp_path / "run"
    words = ["train", "--data.root", "drawn:cat,dog?per_class=20&size=40", "--data.workers", "0"]
    words += ["--model.backbone", "catsdogs_cnn", "--model.weights", "none", "--model.input_size", "32"]
    words += ["--network.width", "2", "--network.auxiliary", "1000", "--transfer.batch_size", "8"]
    words += ["--transfer.strategy", "from_scratch", "--transfer.epochs", "1"]
    monkeypatch.setattr("catsdogs.workflows.fit.fit", lambda *_, **__: False)
    assert main([*words, "--transfer.learning_rate", "find", "--run", str(run)]) == 0
    losses = json.loads((run / "plan.json").read_text())["rate_sweep"]["losses"]
    assert losses[0] == pytest.approx(1000 * math.log(2), rel=0.5)


def test_other_words_are_refused(tmp_path, capsys):
    assert main(["train", "--transfer.learning_rate", "best", "--run", str(tmp_path / "run")]) == 2
    assert "learning_rate" in capsys.readouterr().err
