"""``catsdogs tune search``, through the real command line."""

import contextlib
import csv
import json
import sys

import pytest
import yaml
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from catsdogs.cli.main import main
from catsdogs.cli.train import parse
from catsdogs.core.deadline import OutOfTime
from catsdogs.core.metricsfile import read_metrics
from catsdogs.core.predictions import Predictions
from catsdogs.data.splits import read_split
from catsdogs.training.callbacks import EpochLog
from catsdogs.workflows.tuning import search as searching
from catsdogs.workflows.tuning import trials as studies

TINY = [
    *["--data.root", "drawn:cat,dog?per_class=20&size=40", "--data.workers", "0", "--model.weights", "none"],
    *["--model.backbone", "test_resnet", "--model.input_size", "32", "--trainer.deterministic", "true"],
]
HEAD = ["--transfer.strategy", "linear_probe", "--model.head", "mlp", "--transfer.epochs", "4"]
NEVER = ["--minutes", "60"]


def search(run, *more):
    return main(["tune", "search", *TINY, *HEAD, *NEVER, "--run", str(run), *more])


def table(run):
    with (run / "trials.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def tried(run):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in table(run)]


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """Three trials of a head on cached features."""
    run = tmp_path_factory.mktemp("searches") / "search"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CATSDOGS_CACHE", str(run.parent / "cache"))
        assert search(run, "--trials", "3") == 0
    return run


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    """Leave the figures of the runs out: they have tests of their own, and cost more than the training."""
    monkeypatch.setattr(FigureCanvasAgg, "print_png", lambda _, path: path.touch())


def test_the_best_trial_is_a_config_that_trains_as_it_is(searched, tmp_path):
    rows = table(searched)
    losses = [float(row["log_loss"]) for row in rows]
    best = min(range(3), key=losses.__getitem__)
    verdict = json.loads((searched / "search.json").read_text())
    assert (verdict["best"], verdict["log_loss"]) == (best, pytest.approx(losses[best]))
    assert verdict["given_log_loss"] == pytest.approx(losses[0])
    gain = verdict["gain"]["value"]
    assert gain == pytest.approx(losses[0] - losses[best])
    assert verdict["expected_gain"]["value"] == pytest.approx(gain - verdict["luck"])
    config = ["--config", str(searched / "best.yaml"), "--run", str(tmp_path / "best")]
    assert main(["train", *config]) == 0
    plan = json.loads((tmp_path / "best" / "plan.json").read_text())
    if best:
        assert plan["recipe"]["learning_rate"] == float(rows[best]["learning_rate"])
    assert plan["recipe"]["epochs"] == 4
    # The same split: the search has never seen what the model is now tested on.
    assert (tmp_path / "best" / "split.csv").read_bytes() == (searched / "split.csv").read_bytes()
    with Image.open(searched / "search.png") as figure:
        assert figure.width > 900


def test_every_trial_is_judged_on_the_validation_pictures_and_sees_no_test(searched):
    splits = {record.id: record.split for record in read_split(searched / "split.csv")}
    judged = {name for name, split in splits.items() if split == "val"}
    for number in range(3):
        trial = searched / f"trial-{number}"
        assert set(Predictions.load(trial / "predictions.npz").ids) == judged
        records = read_split(trial / "split.csv")
        assert {record.id for record in records if record.split == "test"} == judged
        assert not any(splits[record.id] == "test" for record in records)
        assert not (trial / "model").exists()
        assert not (trial / "checkpoints").exists()


def test_trials_differ_and_the_first_is_the_settings_as_given(searched):
    configs = [yaml.safe_load((searched / f"trial-{n}" / "config.yaml").read_text()) for n in range(3)]
    given = parse([*TINY, *HEAD, "--run", "x"]).settings
    assert configs[0]["transfer"]["learning_rate"] is None
    assert configs[0]["model"]["dropout"] == given.model.dropout
    assert len({config["transfer"]["learning_rate"] for config in configs}) == 3
    for row, config in zip(table(searched)[1:], configs[1:], strict=True):
        assert float(row["learning_rate"]) == config["transfer"]["learning_rate"]
        assert float(row["weight_decay"]) == config["solver"]["weight_decay"]
        assert row["augmentation" if "augmentation" in row else "strategy"] == "linear_probe"


def test_an_interrupted_search_goes_on_to_the_same_end(searched, tmp_path, monkeypatch, capsys):
    right = EpochLog.on_train_epoch_start
    armed = ["trial-1"]

    def interrupt(self, trainer, pl_module):
        if armed and trainer.default_root_dir.endswith(armed[0]) and trainer.current_epoch == 2:
            armed.clear()
            raise KeyboardInterrupt
        right(self, trainer, pl_module)

    monkeypatch.setattr(EpochLog, "on_train_epoch_start", interrupt)
    # Another cache would time anew how predictions are fastest, and the last digits may follow that.
    monkeypatch.setenv("CATSDOGS_CACHE", str(searched.parent / "cache"))
    run = tmp_path / "cut"
    assert search(run, "--trials", "2") == 130
    assert f"go on with: catsdogs tune search --resume {run}" in capsys.readouterr().out
    first = (run / "trial-0" / "summary.json").stat().st_mtime_ns
    # What a kill in the middle of a write leaves of the file.
    with (run / "study.log").open("a") as stream:
        stream.write('{"op_code": 5, "wor')
    assert main(["tune", "search", "--resume", str(run), "--trials", "3"]) == 0
    assert (run / "trial-0" / "summary.json").stat().st_mtime_ns == first
    assert tried(run) == tried(searched)
    assert json.loads((run / "search.json").read_text()) == json.loads((searched / "search.json").read_text())


def test_a_trial_that_lags_behind_stops_early(tmp_path, monkeypatch):
    def hopeless(self, done, epochs, loss):
        assert (epochs, loss > 0) == (4, True)
        if self._trial.number == 1 and done == 2:
            raise studies.Pruned("behind")

    monkeypatch.setattr(studies.Watched, "__call__", hopeless)
    run = tmp_path / "search"
    assert search(run, "--trials", "2") == 0
    assert [row["state"] for row in table(run)] == ["done", "pruned"]
    assert len(read_metrics(run / "trial-1" / "metrics.csv")) == 2
    assert json.loads((run / "search.json").read_text())["best"] == 0
    assert "nothing that was tried is better" in (run / "best.yaml").read_text()


def test_the_median_of_whole_trials_is_what_a_trial_must_keep_up_with(tmp_path):
    trials = studies.Trials(tmp_path / "study.log", seed=0)
    trials.add_given(0.5, {})
    for loss in (0.6, 0.5, 0.4, 0.3):
        trial = trials.next()
        watched = studies.Watched(trial)
        for epoch in range(1, 9):
            watched(epoch, 8, loss)
        trials.finish(trial, loss)
        assert sorted(trials.all[trial.number].intermediate_values) == [1, 2, 3]
    good = trials.next()
    studies.Watched(good)(4, 8, 0.44)
    trials.finish(good, 0.44)
    bad = studies.Watched(trials.next())
    bad(1, 8, 0.46)
    with pytest.raises(studies.Pruned, match="behind after epoch 4 of 8"):
        bad(4, 8, 0.46)


def test_the_budget_is_kept_and_a_trial_that_was_cut_off_goes_on(tmp_path, monkeypatch, capsys):
    run = tmp_path / "search"
    assert search(run, "--minutes", "0.0001") == 2
    error = capsys.readouterr().err
    assert "no trial came to its end in that time; go on with more" in error
    assert error.count("\n") == 1
    given = []

    @contextlib.contextmanager
    def two_only(seconds):
        given.append(seconds)
        if len(given) == 2:
            raise OutOfTime
        yield

    monkeypatch.setattr(searching, "deadline", two_only)
    assert main(["tune", "search", "--resume", str(run), "--minutes", "7"]) == 0
    assert "the 7 minutes are over" in capsys.readouterr().out
    assert 420 > given[0] > given[1] > 300
    assert len(table(run)) == 1


def test_values_that_were_drawn_before_are_not_trained_again(tmp_path, capsys):
    run = tmp_path / "search"
    words = [
        "--strategies",
        "svm_probe,linear_probe",
        "--space",
        "strategy",
        "--transfer.svm_kernel",
        "linear",
    ]
    assert main(["tune", "search", *TINY, *NEVER, *words, "--trials", "5", "--run", str(run)]) == 0
    assert [row["strategy"] for row in table(run)[:3]] == ["auto", "svm_probe", "linear_probe"]
    again = [row for row in table(run) if row["same_as"]]
    assert len(again) >= 2
    for row in again:
        assert row["log_loss"] == table(run)[int(row["same_as"])]["log_loss"]
        assert not (run / f"trial-{row['trial']}").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--minutes 0", "--minutes must be more than 0, not 0"),
        ("--trials 1", "--trials must be 2 or more, not 1: the first is yours"),
        ("--space speed", "--space: 'speed' is not one of strategy"),
        ("--data.val_fraction 0", "trials are judged on the validation pictures, and there are none"),
        ("--data.root nowhere", "nowhere cannot be opened"),
        ("--model.backbone mobilnet", "timm has no backbone 'mobilnet'"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing_behind(tmp_path, capsys, words, said):
    assert search(tmp_path / "new", *words.split()) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error
    assert not (tmp_path / "new").exists()


def test_without_optuna_there_is_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.delitem(sys.modules, "catsdogs.workflows.tuning.trials")
    assert search(tmp_path / "new") == 2
    assert capsys.readouterr().err == (
        "catsdogs: catsdogs tune search needs Optuna: pip install 'catsdogs[tune]'\n"
    )


def test_a_damaged_study_is_said(searched, tmp_path, capsys):
    (tmp_path / "study.log").write_text("nothing\n{}\n")
    with pytest.raises(Exception, match="is damaged"):
        studies.Trials(tmp_path / "study.log", seed=0)
