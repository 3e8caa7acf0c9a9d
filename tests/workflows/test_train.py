"""A run from pictures to a judged model, through the real command line."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
import yaml

from catsdogs.cli.main import main
from catsdogs.core.predictions import Predictions
from catsdogs.core.report import EvaluationReport
from catsdogs.data.splits import read_split
from catsdogs.models.modelcard import load_card
from catsdogs.models.modelfile import load_model
from catsdogs.training.callbacks import EpochLog

PICTURES = "drawn:cat,dog?per_class=40&size=48"
SMALL = ["--model.backbone", "test_resnet", "--model.weights", "none", "--model.input_size", "32"]
PROBE = ["--transfer.strategy", "linear_probe"]
TUNING = [
    *[*SMALL, "--transfer.batch_size", "8"],
    *["--trainer.deterministic", "true", "--trainer.precision", "32-true"],
]


SCRATCH = ["--transfer.strategy", "from_scratch"]
FULL = ["--transfer.strategy", "finetune_full"]
EPOCHS = [*FULL, "--transfer.epochs", "4", "--model.dropout", "0.3"]


def words(run, *more, root=PICTURES):
    return ["train", "--data.root", root, "--run", str(run), *more]


@pytest.fixture(scope="module")
def finetuned(tmp_path_factory):
    """One uninterrupted run of four epochs with dropout."""
    run = tmp_path_factory.mktemp("runs") / "full"
    assert main(words(run, *TUNING, *EPOCHS)) == 0
    return run


class Command:
    """A catsdogs command in a process group of its own, its output in a file.

    It imports for longer than it trains: only what is killed, or starts others, needs one.
    """

    def __init__(self, arguments, log):
        self.log = log
        with log.open("w") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "catsdogs", *arguments],
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self):
        return self.log.read_text()

    def finish(self, timeout_s=180):
        """Wait for the end and return the exit code."""
        return self.process.wait(timeout_s)

    def wait_for(self, text, timeout_s=120):
        deadline = time.monotonic() + timeout_s
        while text not in self.output:
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.02)

    def kill(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)


@pytest.fixture
def start(tmp_path):
    """Start a command; whatever still runs at the end of the test is killed."""
    started = []

    def begin(arguments):
        started.append(Command(arguments, tmp_path / f"log-{len(started)}.txt"))
        return started[-1]

    yield begin
    for command in started:
        if command.process.poll() is None:
            command.kill()


def succeed(command):
    assert command.finish() == 0, command.output
    return command.output


def tensors(run):
    return load_model(run)[0].state_dict()


def last_weights(run):
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def same_weights(first, second):
    return all(torch.equal(value, second[name]) for name, value in first.items())


def test_a_linear_probe_needs_no_lightning_and_leaves_a_whole_run(tmp_path, capsys):
    run = tmp_path / "probe"
    assert main(words(run, *SMALL, *PROBE)) == 0
    for name in (
        "config.yaml",
        "audit.json",
        "split.csv",
        "plan.json",
        "evaluation.json",
        "slices.json",
        "predictions.csv",
        "summary.json",
    ):
        assert (run / name).is_file(), name
    assert not (run / "checkpoints").exists()
    plan = json.loads((run / "plan.json").read_text())
    assert plan["strategy"] == "linear_probe"
    assert load_card(run).temperature == plan["probe"]["temperature"]
    report = EvaluationReport.load(run / "evaluation.json")
    assert plan["fitted_on"] == ["train", "val"]
    assert (report.split, report.n) == ("test", 12)
    predictions = Predictions.load(run / "predictions.npz")
    assert set(predictions.ids) == {r.id for r in read_split(run / "split.csv") if r.split == "test"}
    assert "test accuracy" in capsys.readouterr().out


def test_the_config_of_a_run_repeats_it(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    assert main(words(first, *SMALL, "--seed", "3")) == 0
    assert main(["train", "--config", str(first / "config.yaml"), "--run", str(second)]) == 0
    assert same_weights(tensors(first), tensors(second))
    assert (first / "split.csv").read_bytes() == (second / "split.csv").read_bytes()


def test_another_seed_splits_otherwise(tmp_path):
    for seed in ("0", "1"):
        assert main(words(tmp_path / seed, *SMALL, *PROBE, "--seed", seed)) == 0
    assert (tmp_path / "0" / "split.csv").read_bytes() != (tmp_path / "1" / "split.csv").read_bytes()


def test_three_classes_train_with_the_same_command(tmp_path):
    root = "drawn:cat,dog,rabbit?per_class=20&size=48"
    assert main(words(tmp_path / "three", *SMALL, root=root)) == 0
    assert load_card(tmp_path / "three").class_names == ("cat", "dog", "rabbit")


def test_finetuning_writes_metrics_curves_and_a_calibrated_best_model(finetuned):
    with (finetuned / "metrics.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["epoch"] for row in rows] == ["0", "1", "2", "3"]
    losses = [float(row["val_loss"]) for row in rows]
    card = load_card(finetuned)
    assert card.training["epoch"] == int(np.argmin(losses))
    assert card.temperature != 1
    assert (finetuned / "curves.png").read_bytes().startswith(b"\x89PNG")
    checkpoint = torch.load(finetuned / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 4 * (56 // 8)


def test_every_layer_moves_from_the_probed_start(finetuned):
    start_model, trained = tensors(finetuned / "checkpoints" / "start"), tensors(finetuned)
    weights = [name for name in trained if name.endswith("weight")]
    still = [name for name in weights if torch.equal(start_model[name], trained[name])]
    assert still == []


def test_batchnorm_keeps_the_statistics_of_the_pretrained_network(finetuned):
    start_model, trained = tensors(finetuned / "checkpoints" / "start"), tensors(finetuned)
    statistics = [name for name in trained if "running_" in name]
    assert statistics
    assert all(torch.equal(start_model[name], trained[name]) for name in statistics)


def test_killed_in_epoch_two_and_resumed_is_bit_equal(finetuned, tmp_path, start, capsys):
    run = tmp_path / "cut"
    command = start(words(run, *TUNING, *EPOCHS))
    command.wait_for("epoch 2/4")
    command.kill()
    assert not (run / "summary.json").exists()
    assert main(["train", "--resume", str(run)]) == 0
    assert "epoch 1/4" not in capsys.readouterr().out
    assert same_weights(last_weights(finetuned), last_weights(run))
    assert (finetuned / "model" / "model.safetensors").read_bytes() == (
        run / "model" / "model.safetensors"
    ).read_bytes()


DDP = ["--trainer.devices", "2", "--trainer.accelerator", "cpu"]


@pytest.mark.slow
def test_two_processes_killed_and_resumed_learn_what_one_process_learns(tmp_path, start):
    """They add up in another order; without the momentum or a step, or with one twice, more would differ."""
    alone, cut = tmp_path / "alone", tmp_path / "cut"
    more = [*TUNING, *FULL, "--transfer.epochs", "3", "--solver.name", "momentum"]
    more += ["--transfer.learning_rate", "0.01"]
    command = start(words(cut, *more, *DDP))
    command.wait_for("epoch 2/3")
    command.kill()
    assert command.output.count("epoch 1/3") == 1
    assert "epoch 1/3" not in succeed(start(["train", "--resume", str(cut)]))
    assert main(words(alone, *more)) == 0
    torch.testing.assert_close(last_weights(cut), last_weights(alone), rtol=0, atol=2e-5)


@pytest.mark.slow
def test_two_processes_killed_and_resumed_are_bit_equal(tmp_path, start):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert succeed(start(words(whole, *TUNING, *EPOCHS, *DDP))).count("epoch 1/4") == 1
    command = start(words(cut, *TUNING, *EPOCHS, *DDP))
    command.wait_for("epoch 2/4")
    command.kill()
    succeed(start(["train", "--resume", str(cut)]))
    assert same_weights(last_weights(whole), last_weights(cut))


SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


@pytest.mark.parametrize(("number", "code"), [SIGNALS[0], pytest.param(*SIGNALS[1], marks=pytest.mark.slow)])
def test_an_interrupt_leaves_a_resumable_run(tmp_path, number, code, capsys):
    run = tmp_path / "cut"
    if number == signal.SIGINT:
        signal.signal(number, signal.default_int_handler)  # a shell's background jobs ignore it
    right = EpochLog.on_train_batch_start

    def interrupted(self, trainer, pl_module, batch, batch_idx):
        right(self, trainer, pl_module, batch, batch_idx)
        if (trainer.current_epoch, batch_idx) == (1, 2):
            signal.raise_signal(number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EpochLog, "on_train_batch_start", interrupted)
        assert main(words(run, *TUNING, *SCRATCH, "--transfer.epochs", "3")) == code
    assert f"--resume {run}" in capsys.readouterr().out
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 0
    assert main(["train", "--resume", str(run)]) == 0
    said = capsys.readouterr().out
    assert "epoch 1/3" not in said
    assert "epoch 2/3" in said


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_an_interrupt_from_outside_leaves_a_resumable_run(tmp_path, number, code, start):
    run = tmp_path / "cut"
    command = start(words(run, *TUNING, *SCRATCH, "--transfer.epochs", "500", "--data.workers", "2"))
    command.wait_for("epoch 2/500")
    command.process.send_signal(number)
    assert command.finish() == code, command.output
    assert f"--resume {run}" in command.output
    assert "Traceback" not in command.output
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] >= 0


def test_workers_do_not_change_what_is_learned(finetuned, tmp_path):
    run = tmp_path / "together"
    assert main(words(run, *TUNING, *EPOCHS, "--data.workers", "2")) == 0
    assert same_weights(tensors(run), tensors(finetuned))


def test_a_complete_run_has_nothing_to_resume(finetuned, capsys):
    assert main(["train", "--resume", str(finetuned)]) == 0
    assert "complete" in capsys.readouterr().out


def test_no_validation_pictures_still_give_a_model(tmp_path):
    run = tmp_path / "bare"
    more = [*SCRATCH, "--data.val_fraction", "0", "--data.test_fraction", "0"]
    assert main(words(run, *TUNING, *more, "--transfer.epochs", "1")) == 0
    assert load_card(run).temperature == 1


def test_early_stopping_stops_and_keeps_the_best(tmp_path):
    run = tmp_path / "early"
    more = [*SCRATCH, "--transfer.learning_rate", "0.05", "--transfer.patience_epochs", "1"]
    assert main(words(run, *TUNING, *more, "--transfer.epochs", "40")) == 0
    with (run / "metrics.csv").open() as stream:
        losses = [float(row["val_loss"]) for row in csv.DictReader(stream)]
    assert len(losses) < 40
    assert load_card(run).training["epoch"] == int(np.argmin(losses))


def test_a_logger_of_the_trainer_is_used(tmp_path):
    run, logs = tmp_path / "logged", tmp_path / "logs"
    more = ["--trainer.logger", "TensorBoardLogger", "--trainer.logger.save_dir", str(logs)]
    assert main(words(run, *TUNING, *more, *SCRATCH, "--transfer.epochs", "1")) == 0
    assert list(logs.rglob("events.out.tfevents*"))
    settings = yaml.safe_load((run / "config.yaml").read_text())
    assert set(settings["trainer"]) == {"logger", "deterministic", "precision"}


def test_an_mlp_head_can_be_finetuned(tmp_path):
    run = tmp_path / "tuned"
    more = [*TUNING, *FULL, "--model.head", "mlp", "--model.hidden", "16"]
    assert main(words(run, *more, "--transfer.epochs", "1")) == 0
    assert load_card(run).head.kind == "mlp"


def test_an_mlp_head_on_a_frozen_backbone_learns_from_cached_features(tmp_path):
    run = tmp_path / "probe"
    more = [*TUNING, *PROBE, "--model.head", "mlp", "--transfer.patience_epochs", "0"]
    more += ["--transfer.epochs", "12", "--transfer.learning_rate"]
    assert main(words(run, *more, "0.01")) == 0
    with (run / "metrics.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 12
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    start, model = load_model(run / "checkpoints" / "start")[0], load_model(run)[0]
    for name, tensor in start.backbone.state_dict().items():
        assert torch.equal(tensor, model.backbone.state_dict()[name]), name
    assert not torch.equal(start.head.fc.weight, model.head.fc.weight)
    assert json.loads((run / "plan.json").read_text())["fitted_on"] == ["train"]


def test_an_svm_takes_no_other_head(tmp_path, capsys):
    more = [*SMALL, "--transfer.strategy", "svm_probe", "--model.head", "mlp"]
    assert main(words(tmp_path / "svm", *more)) == 2
    assert "svm_probe is a head of its own" in capsys.readouterr().err
    assert not (tmp_path / "svm").exists()


def test_one_rank_waits_for_the_files_of_the_first(tmp_path, monkeypatch, capsys):
    run = tmp_path / "shared"
    assert main(words(run, *SMALL, *PROBE)) == 0
    before = (run / "summary.json").read_bytes()
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(words(run, *SMALL, *PROBE)) == 0
    assert (run / "summary.json").read_bytes() == before


class TestMistakes:
    def assert_refused(self, capsys, arguments, *expected):
        assert main(arguments) == 2
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        assert len(captured.err.strip().splitlines()) == 1
        for text in expected:
            assert text in captured.err

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (["--data.root", "nowhere"], "nowhere"),
            (["--model.backbone", "mobilenetv2_101"], "mobilenetv2_100"),
            (["--model.weights", "nowhere.safetensors"], "no such weights file"),
            (["--model.weights", "https://example.com/w.safetensors"], "URL"),
            (["--transfer.strategy", "finetune_all"], "finetune_full"),
            (["--transfer.epochs", "0"], "--transfer.epochs"),
            (["--data.val_fraction", "1.5"], "val_fraction"),
            (["--data.group_by", "("], "group_by"),
            (["--data.limit_per_class", "0"], "limit_per_class"),
            (["--seed", "-1"], "--seed"),
            (["--trainer.devces", "2"], "devces"),
            (["--trainer.precision", "64-true"], "not float32"),
            (["--trainer.precision", "bf16-true"], "not float32"),
            (["--data.root", "drawn:cat?per_class=5"], "cat"),
        ],
    )
    def test_one_line_and_nothing_half_written(self, tmp_path, capsys, arguments, expected):
        run = tmp_path / "run"
        self.assert_refused(capsys, [*words(run, *SMALL), *arguments], expected)
        assert not run.exists()

    def test_one_class_and_a_class_with_one_picture(self, tmp_path, capsys):
        assert main(["draw", "--out", str(tmp_path / "one"), "--kinds", "[cat]", "--per_class", "3"]) == 0
        capsys.readouterr()
        self.assert_refused(capsys, words(tmp_path / "run", *SMALL, root=str(tmp_path / "one")), "class")
        source = next((tmp_path / "one").rglob("*.jpg"))
        (tmp_path / "one" / "dog").mkdir(exist_ok=True)
        (tmp_path / "one" / "dog" / "1.jpg").write_bytes(source.read_bytes())
        self.assert_refused(capsys, words(tmp_path / "run", *SMALL, root=str(tmp_path / "one")), "dog")

    def test_a_run_is_not_overwritten(self, tmp_path, capsys):
        run = tmp_path / "run"
        assert main(words(run, *SMALL, *PROBE)) == 0
        capsys.readouterr()
        self.assert_refused(capsys, words(run, *SMALL, *PROBE), "--resume")

    def test_a_folder_that_is_no_run_is_left_alone(self, tmp_path, capsys):
        (tmp_path / "mine.txt").write_text("keep")
        self.assert_refused(capsys, words(tmp_path, *SMALL), "not a run")
        assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]

    def test_resume_of_nothing_and_with_other_flags(self, tmp_path, capsys):
        self.assert_refused(capsys, ["train", "--resume", str(tmp_path / "none")], "no run")
        self.assert_refused(capsys, ["train", "--resume", "x", "--seed", "1"], "--seed")

    def test_a_truncated_checkpoint(self, finetuned, tmp_path, capsys):
        import shutil

        run = tmp_path / "broken"
        shutil.copytree(finetuned, run)
        (run / "summary.json").unlink()
        whole = (run / "checkpoints" / "last.ckpt").read_bytes()
        (run / "checkpoints" / "last.ckpt").write_bytes(whole[: len(whole) // 2])
        self.assert_refused(capsys, ["train", "--resume", str(run)], "last.ckpt")

    def test_wrong_types_in_yaml(self, tmp_path, capsys):
        config = tmp_path / "c.yaml"
        config.write_text("transfer:\n  epochs: many\n")
        self.assert_refused(capsys, ["train", "--config", str(config)], "--transfer.epochs", "whole number")
        config.write_text("transfr:\n  epochs: 1\n")
        self.assert_refused(capsys, ["train", "--config", str(config)], "transfr")
