"""Someone watches the run: through the real command line, from the checks to the last good model."""

import contextlib
import csv
import io
import json
import shutil

import pytest
import torch
from lightning.pytorch.callbacks import Callback

from catsdogs.cli.main import main
from catsdogs.core.metricsfile import read_metrics
from catsdogs.models.modelcard import load_card
from catsdogs.models.modelfile import load_model
from catsdogs.training.callbacks import EpochLog
from catsdogs.training.task import ClassificationTask
from catsdogs.workflows import batchsize, fit, prepared
from catsdogs.workflows.sections import TransferSettings
from catsdogs.workflows.settings import TrainSettings

RUN = [
    *["train", "--data.root", "drawn:cat,dog?per_class=20&size=56", "--data.workers", "0"],
    *["--model.backbone", "test_resnet", "--model.weights", "none", "--model.input_size", "32"],
    *["--transfer.batch_size", "8", "--transfer.epochs", "2", "--trainer.accelerator", "cpu"],
]
FULL = ["--transfer.strategy", "finetune_full"]
EXACT = ["--trainer.deterministic", "true", "--trainer.precision", "32-true"]


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory):
    """An ordinary run, what it said, and a copy of its folder from the middle of the second epoch."""
    folder, said = tmp_path_factory.mktemp("runs"), io.StringIO()
    right = EpochLog.on_train_batch_start

    def copying(self, trainer, pl_module, batch, batch_idx):
        right(self, trainer, pl_module, batch, batch_idx)
        if trainer.current_epoch == 1 and not (folder / "cut").exists():
            shutil.copytree(trainer.default_root_dir, folder / "cut")

    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said):
        patch.setattr(EpochLog, "on_train_batch_start", copying)
        assert main([*RUN, *FULL, *EXACT, "--run", str(folder / "run")]) == 0
    return folder / "run", said.getvalue(), folder / "cut"


def test_an_ordinary_run_is_checked_and_watched_in_one_line(ordinary):
    run, said, _ = ordinary
    assert said.count("checks: ") == 1
    assert "gradients reach all 47 tensors" in said
    assert [line for line in said.splitlines() if "warning" in line] == [
        "warning: --model.weights none: finetune_full builds on random features"
    ]
    assert (run / "watch.png").read_bytes().startswith(b"\x89PNG")
    rows = read_metrics(run / "watch.csv")
    assert len(rows) == 2 * 6
    assert len({(row["epoch"], row["group"]) for row in rows}) == len(rows)
    for row in read_metrics(run / "metrics.csv"):
        assert float(row["pictures_per_s"]) > 0
        assert 0 <= float(row["waiting_share"]) <= 1


def test_checks_and_watchers_change_no_bit(ordinary, tmp_path, monkeypatch):
    monkeypatch.setattr(fit, "_check", lambda *_: None)
    for watcher in ("Throughput", "StopDiverged", "WatchLayers"):
        monkeypatch.setattr(fit, watcher, lambda *_, **__: Callback())
    assert main([*RUN, *FULL, *EXACT, "--run", str(tmp_path / "bare")]) == 0
    assert not (tmp_path / "bare" / "watch.csv").exists()
    ends = [
        torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
        for run in (ordinary[0], tmp_path / "bare")
    ]
    for name, value in ends[0]["state_dict"].items():
        assert torch.equal(value, ends[1]["state_dict"][name]), name
    moments = [end["optimizer_states"][0]["state"] for end in ends]
    assert all(torch.equal(moments[0][n]["exp_avg"], moments[1][n]["exp_avg"]) for n in moments[0])


def test_a_resumed_run_is_not_checked_again_and_has_each_row_once(ordinary, capsys):
    whole, _, cut = ordinary
    assert main(["train", "--resume", str(cut)]) == 0
    assert "checks:" not in capsys.readouterr().out
    assert (cut / "watch.csv").read_bytes() == (whole / "watch.csv").read_bytes()
    assert [row["epoch"] for row in read_metrics(cut / "metrics.csv")] == ["0", "1"]


def refused(capsys, run, *more):
    """Run to a divergence; return the one line that tells of it."""
    assert main([*RUN, *more, "--run", str(run)]) == 2
    out, err = capsys.readouterr()
    assert err.count("\n") == 1
    assert "Traceback" not in out + err
    assert [line for line in out.splitlines() if "warning" in line and "none" not in line] == []
    return err


RATE = ["--transfer.learning_rate", "1e3"]


def test_a_rate_of_a_thousand_ends_with_one_message_and_a_usable_model(tmp_path, capsys):
    run = tmp_path / "run"
    line = refused(capsys, run, *FULL, *RATE)
    assert "start again with a lower --transfer.learning_rate (1000 now)" in line
    assert "holds the start model" in line
    with (run / "diverged.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 8
    assert all(row["path"].endswith(".jpg") for row in rows)
    start = load_model(run / "checkpoints" / "start")[0].state_dict()
    assert all(torch.equal(value, start[key]) for key, value in load_model(run)[0].state_dict().items())
    assert main(["evaluate", "--checkpoint", str(run)]) == 0
    table, new = tmp_path / "rows.csv", tmp_path / "new"
    assert main(["draw", "--out", str(new), "--per_class", "2", "--seed", "9"]) == 0
    assert main(["predict", "--checkpoint", str(run), "--input", str(new), "--output", str(table)]) == 0
    assert table.exists()


def test_so_does_a_network_from_scratch(tmp_path, capsys):
    line = refused(capsys, tmp_path / "run", "--transfer.strategy", "from_scratch", *RATE)
    assert "holds the start model" in line
    load_model(tmp_path / "run")


def test_no_number_in_a_later_epoch_leaves_the_best_model_so_far(tmp_path, capsys, monkeypatch):
    right = ClassificationTask.training_step

    def poisoned(self, batch, number):
        loss = right(self, batch, number)
        return loss * torch.nan if (self.current_epoch, number) == (1, 2) else loss

    monkeypatch.setattr(ClassificationTask, "training_step", poisoned)
    line = refused(capsys, tmp_path / "run", *FULL)
    assert "the training loss is nan at step 6 (epoch 2)" in line
    assert "holds the model of epoch 1" in line
    assert load_card(tmp_path / "run").training["epoch"] == 0
    epochs = {row["epoch"] for row in read_metrics(tmp_path / "run" / "diverged.csv")}
    assert epochs == {"1"}


def test_a_broken_model_does_not_look_fine_in_validation(tmp_path, capsys, monkeypatch):
    from catsdogs.models.classifier import ImageClassifier

    right = ImageClassifier.forward

    def some(self, inputs):
        logits = right(self, inputs)
        return logits if self.training else logits.index_fill(0, torch.tensor([0]), torch.nan)

    monkeypatch.setattr(ImageClassifier, "forward", some)
    monkeypatch.setattr(fit, "_check", lambda *_: None)
    line = refused(capsys, tmp_path / "run", *FULL)
    assert "the validation loss is inf after epoch 1" in line


def test_what_is_wrong_with_the_weights_preprocessing_is_said_before_training(tmp_path, capsys, monkeypatch):
    right = prepared.load_model

    def wrong(*args, **kwargs):
        classifier, card = right(*args, **kwargs)
        classifier.scale.mul_(100)
        return classifier, card

    monkeypatch.setattr(prepared, "load_model", wrong)
    main([*RUN, *FULL, "--transfer.epochs", "1", "--run", str(tmp_path / "run")])
    out = capsys.readouterr().out
    assert "warning: the pictures reach the network with mean" in out


class TestBatchSize:
    def test_what_is_found_is_trained_with(self, tmp_path, capsys, monkeypatch):
        def fastest(step_of, usual, most):
            step_of(4)()
            return batchsize.BatchSearch(16, "of the test", {16: 1.0})

        monkeypatch.setattr(batchsize, "fastest_batch", fastest)
        more = [*FULL, "--transfer.batch_size", "find", "--trainer.precision", "32-true"]
        assert main([*RUN, *more, "--run", str(tmp_path / "run")]) == 0
        assert "batch size 16: of the test; the learning rate stays as it is" in capsys.readouterr().out
        plan = json.loads((tmp_path / "run" / "plan.json").read_text())
        assert plan["recipe"]["batch_size"] == plan["batch_size_search"]["found"] == 16
        last = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
        assert last["global_step"] == 2 * (28 // 16)

    @pytest.mark.parametrize(
        ("transfer", "trainer"),
        [
            ({"batch_size": 8}, {}),
            ({"batch_size": "find", "strategy": "linear_probe"}, {}),
            ({"batch_size": "find", "strategy": "finetune_full"}, {"deterministic": True}),
        ],
    )
    def test_nothing_is_searched_where_it_would_say_nothing(self, transfer, trainer):
        settings = TrainSettings(transfer=TransferSettings(**transfer), trainer=trainer)
        assert batchsize.find_batch_size(settings, ("cat", "dog"), 100) is None
        assert settings.transfer.pictures_per_step in (8, 32)

    def test_any_other_word_is_refused(self, capsys):
        assert main([*RUN, "--transfer.batch_size", "large"]) == 2
        assert main([*RUN, "--transfer.batch_size", "0"]) == 2
        assert "--transfer.batch_size must be 1 or more, or 'find', not 0" in capsys.readouterr().err
