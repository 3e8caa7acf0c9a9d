"""``--check overfit`` says yes of what can learn and no of what cannot, and leaves nothing behind."""

import json

import pytest
import torch
from PIL import Image

from catsdogs.cli.main import main
from catsdogs.models.classifier import ImageClassifier
from catsdogs.training.task import ClassificationTask
from catsdogs.workflows import overfit

CHECK = [
    *["train", "--check", "overfit", "--data.root", "drawn:cat,dog?per_class=10&size=40"],
    *["--model.backbone", "test_resnet", "--model.weights", "none", "--model.input_size", "32"],
    *["--data.workers", "0", "--transfer.learning_rate", "0.003", "--trainer.accelerator", "cpu"],
]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def few_steps(monkeypatch):
    """A check that fails takes all its steps."""
    monkeypatch.setattr(overfit, "MOST_STEPS", 20)


@pytest.mark.parametrize(
    ("strategy", "says"),
    [
        ("from_scratch", "trains 47 of 47 tensors"),
        ("finetune_top", "trains 23 of 47 tensors, in layer3.0, layer4.0, head"),
    ],
)
def test_yes_and_nothing_is_left(tmp_path, capsys, strategy, says):
    more = ["--transfer.strategy", strategy, "--model.dropout", "0.9", "--solver.weight_decay", "10"]
    assert main([*CHECK, *more]) == 0
    out = capsys.readouterr().out
    assert says in out
    assert "overfit: yes" in out
    assert list(tmp_path.iterdir()) == []


def test_auto_takes_a_strategy_with_gradients_and_run_keeps_the_figure(tmp_path, capsys):
    assert main([*CHECK, "--run", "kept"]) == 0
    assert "takes finetune_full" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["overfit.json", "overfit.png"]
    Image.open(tmp_path / "kept" / "overfit.png").load()
    found = json.loads((tmp_path / "kept" / "overfit.json").read_text())
    assert found["succeeded"]
    assert found["pictures"] == 16
    assert main([*CHECK, "--run", "kept"]) == 2
    assert "exists already" in capsys.readouterr().err


def test_no_where_everything_is_frozen(monkeypatch, capsys, few_steps):
    def freeze(self, names):
        self.backbone.requires_grad_(False)
        self.head.fc.weight.requires_grad_(False)

    monkeypatch.setattr(ImageClassifier, "set_trainable", freeze)
    assert main([*CHECK, "--transfer.strategy", "finetune_full"]) == 1
    out = capsys.readouterr().out
    assert "trains 1 of 47 tensors" in out
    assert "overfit: no" in out


def test_no_where_labels_change_from_step_to_step(monkeypatch, capsys, few_steps):
    right = ClassificationTask.training_step

    def shuffled(self, batch, number):
        return right(self, (batch[0], torch.randint(0, 2, batch[1].shape)), number)

    monkeypatch.setattr(ClassificationTask, "training_step", shuffled)
    assert main([*CHECK, "--transfer.strategy", "finetune_full"]) == 1
    assert "overfit: no" in capsys.readouterr().out


def test_a_fitted_head_has_nothing_to_overfit(capsys):
    assert main([*CHECK, "--transfer.strategy", "linear_probe"]) == 2
    assert "without gradient steps" in capsys.readouterr().err
