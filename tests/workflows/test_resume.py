"""Runs that are killed around an unfreezing and resumed, through the real command line.

What a kill leaves behind is the run folder as it lies on disk at that moment, so a copy of the folder, taken
while an epoch trains, stands for a run killed there.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch

from catsdogs.cli.main import main
from catsdogs.models.layergroups import layer_groups
from catsdogs.models.modelcard import load_card
from catsdogs.models.modelfile import load_model
from catsdogs.training import freezing
from catsdogs.training.callbacks import EpochLog
from catsdogs.training.optimizers import training_parameters

RUN = [
    *["train", "--data.root", "drawn:cat,dog?per_class=20&size=40", "--data.workers", "0"],
    *["--model.weights", "none", "--model.input_size", "32", "--model.dropout", "0.3"],
    *["--transfer.batch_size", "8", "--transfer.learning_rate", "0.003"],
    *["--trainer.deterministic", "true", "--trainer.precision", "32-true"],
]
SHORT = ["--model.backbone", "test_resnet", "--transfer.strategy", "gradual", "--transfer.epochs", "2"]


@pytest.fixture
def killed(tmp_path, monkeypatch):
    """Keep a copy of the run folder from the middle of every epoch; return where that of an epoch lies."""
    right = EpochLog.on_train_batch_start

    def copying(self, trainer, pl_module, batch, batch_idx):
        right(self, trainer, pl_module, batch, batch_idx)
        if batch_idx == 1 and not (place := tmp_path / f"killed{trainer.current_epoch}").exists():
            shutil.copytree(trainer.default_root_dir, place)

    monkeypatch.setattr(EpochLog, "on_train_batch_start", copying)
    return lambda epoch: tmp_path / f"killed{epoch}"


def same(first, second):
    """Say whether two runs ended with the same checkpoint, optimizer included, and the same best model."""
    ends = [torch.load(run / "checkpoints" / "last.ckpt", weights_only=True) for run in (first, second)]
    models = [(run / "model" / "model.safetensors").read_bytes() for run in (first, second)]
    return models[0] == models[1] and all(
        equal(ends[0][key], ends[1][key])
        for key in ("state_dict", "optimizer_states", "lr_schedulers", "callbacks")
    )


def equal(first, second):
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(equal(first[key], second[key]) for key in first)
    if isinstance(first, list):
        return len(first) == len(second) and all(map(equal, first, second))
    return first == second


def phases(run):
    return json.loads((run / "plan.json").read_text())["freeze_plan"]


def check_moved(run):
    """Hold the trained backbone to the plan: what some phase trains has moved, the rest is bit-equal."""
    start = load_model(run / "checkpoints" / "start")[0].backbone
    end = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    groups = layer_groups(start)
    training = {
        name for phase in phases(run) for number in phase["groups"] for name in groups[number].parameters
    }
    for name, value in start.state_dict().items():
        assert torch.equal(value, end[f"classifier.backbone.{name}"]) == (name not in training), name


def check_model_is_the_average(run, killed):
    """Where an average is kept, the model file holds that of the best epoch."""
    epoch = load_card(run).training["epoch"]
    place = killed(epoch + 1) if killed(epoch + 1).exists() else run
    state = torch.load(place / "checkpoints" / "last.ckpt", weights_only=True)
    average = state["callbacks"].get("AverageWeights", {}).get("average")
    if average is not None:
        assert equal(load_model(run)[0].state_dict(), average)
        assert not equal(average, {name: state["state_dict"][f"classifier.{name}"] for name in average})


@pytest.mark.parametrize(
    "more",
    [
        pytest.param([*SHORT, "--transfer.frozen_epochs", "1"], id="gradual"),
        pytest.param(
            [
                *["--model.backbone", "test_efficientnet", "--transfer.strategy", "finetune_top"],
                *["--transfer.frozen_epochs", "2", "--transfer.epochs", "2", "--transfer.layer_decay", "0.7"],
                *["--augmentation.preset", "strong"],
                *["--averaging.kind", "ema", "--averaging.interpolation", "1"],
                *["--schedule.name", "plateau", "--schedule.patience_epochs", "1"],
                *["--solver.name", "momentum", "--loss.l2_sp", "0.1", "--data.sampler", "balanced"],
            ],
            id="frozen-then-top",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_killed_before_at_and_after_each_unfreezing_is_bit_equal(tmp_path, killed, more):
    whole = tmp_path / "whole"
    assert main([*RUN, *more, "--run", str(whole)]) == 0
    assert len(phases(whole)) > 1
    check_moved(whole)
    check_model_is_the_average(whole, killed)
    for epoch in range(sum(phase["epochs"] for phase in phases(whole))):
        assert not (killed(epoch) / "summary.json").exists()
        assert main(["train", "--resume", str(killed(epoch))]) == 0
        assert same(killed(epoch), whole), f"killed in epoch {epoch}"


def test_freezing_again_on_resume_would_be_seen(tmp_path, killed, monkeypatch):
    whole = tmp_path / "whole"
    assert main([*RUN, *SHORT, "--run", str(whole)]) == 0
    monkeypatch.setattr(freezing, "training_parameters", lambda *known: training_parameters(*known[:3], 0))
    assert main(["train", "--resume", str(killed(1))]) == 0
    assert not same(killed(1), whole)


@pytest.mark.slow
def test_two_processes_killed_around_an_unfreezing_are_bit_equal(tmp_path):
    ddp = ["--trainer.devices", "2", "--trainer.accelerator", "cpu"]
    more = [*RUN, "--model.backbone", "test_efficientnet", "--transfer.strategy", "gradual", *ddp]
    more += ["--transfer.epochs", "3", "--transfer.frozen_epochs", "1"]
    whole = tmp_path / "whole"
    assert start([*more, "--run", str(whole)], tmp_path / "whole.txt").wait(300) == 0
    for epoch in (1, 2, 3):
        run, log = tmp_path / f"cut{epoch}", tmp_path / f"{epoch}.txt"
        process = start([*more, "--run", str(run)], log)
        deadline = time.monotonic() + 200
        while f"epoch {epoch}/4" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)
        assert start(["train", "--resume", str(run)], log).wait(300) == 0, log.read_text()
        assert same(run, whole), f"killed after epoch {epoch}"


def start(arguments, log):
    with log.open("w") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "catsdogs", *arguments],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
