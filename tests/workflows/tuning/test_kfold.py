"""``catsdogs tune kfold`` and ``catsdogs tune seeds``, through the real command line."""

import csv
import json

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from catsdogs.cli.main import main
from catsdogs.core.metricsfile import read_metrics
from catsdogs.core.predictions import Predictions
from catsdogs.data.splits import read_split
from catsdogs.evaluation.judge import evaluate
from catsdogs.models.modelcard import load_card
from catsdogs.training.callbacks import EpochLog

TINY = [
    *["--data.root", "drawn:cat,dog?per_class=16&size=40", "--data.workers", "0", "--model.weights", "none"],
    *["--model.backbone", "test_resnet", "--model.input_size", "32"],
]
PROBE = ["--transfer.strategy", "linear_probe"]
# Deterministic runs time nothing beforehand.
HEAD = [
    *[*PROBE, "--model.head", "mlp", "--transfer.epochs", "2", "--model.dropout", "0.3"],
    *["--trainer.deterministic", "true"],
]


def kfold(run, *more):
    return main(["tune", "kfold", *TINY, "--folds", "2", "--run", str(run), *more])


def seeds(run, *more):
    return main(["tune", "seeds", *TINY, *HEAD, "--run", str(run), *more])


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    """Leave the figures of the runs out: they have tests of their own, and cost more than the training."""
    monkeypatch.setattr(FigureCanvasAgg, "print_png", lambda _, path: path.touch())


@pytest.fixture
def interrupted(monkeypatch):
    """Interrupt the training whose folder is named, once, in its second epoch."""
    right = EpochLog.on_train_epoch_start
    named = []

    def interrupt(self, trainer, pl_module):
        if trainer.default_root_dir.endswith(tuple(named)) and trainer.current_epoch == 1:
            named.clear()
            raise KeyboardInterrupt
        right(self, trainer, pl_module)

    monkeypatch.setattr(EpochLog, "on_train_epoch_start", interrupt)
    return named


def test_each_picture_is_predicted_once_by_a_run_that_has_not_seen_it(tmp_path, capsys):
    run = tmp_path / "cv"
    assert kfold(run, *PROBE) == 0
    printed = capsys.readouterr().out
    aside = {record.id for record in read_split(run / "split.csv") if record.split == "test"}
    assert f"the {len(aside)} test pictures stay aside" in printed
    everything = {record.id for record in read_split(run / "split.csv")}
    with (run / "predictions.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len({row["path"] for row in rows})
    assert {row["path"] for row in rows} == everything - aside
    pooled = Predictions.load(run / "predictions.npz")
    result = json.loads((run / "cv.json").read_text())
    accuracies = []
    for fold in result["folds"]:
        member = run / f"fold-{fold['fold']}"
        records = read_split(member / "split.csv")
        assert {record.id for record in records} == everything - aside
        held = [record.id for record in records if record.split == "test"]
        own = Predictions.load(member / "predictions.npz")
        assert set(own.ids) == set(held)
        for name, logits in zip(own.ids, own.logits, strict=True):
            assert np.array_equal(pooled.logits[pooled.ids.index(name)], logits)
        accuracies.append((own.predicted == own.labels).mean())
    spread = result["spread"]["accuracy"]
    assert (spread["mean"], spread["deviation"]) == pytest.approx(
        (np.mean(accuracies), np.std(accuracies, ddof=1))
    )
    assert result["pooled"] == evaluate(pooled, split="out-of-fold", tta="none").to_dict()
    assert "is no interval for the mean" in printed


def test_all_pictures_have_a_part_where_that_is_asked_for(tmp_path):
    assert kfold(tmp_path / "cv", *PROBE, "--include_test", "true") == 0
    assert len(Predictions.load(tmp_path / "cv" / "predictions.npz")) == 32


@pytest.mark.slow  # of a search it is tried always
def test_an_interrupted_cross_validation_goes_on_to_the_same_end(tmp_path, capsys, interrupted):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert kfold(whole, *HEAD) == 0
    interrupted.append("fold-2")
    assert kfold(cut, *HEAD) == 130
    assert f"go on with: catsdogs tune kfold --resume {cut}" in capsys.readouterr().out
    assert not (cut / "cv.json").exists()
    assert len(read_metrics(cut / "fold-2" / "metrics.csv")) == 1
    first = (cut / "fold-1" / "summary.json").stat().st_mtime_ns
    assert main(["tune", "kfold", "--resume", str(cut)]) == 0
    assert (cut / "fold-1" / "summary.json").stat().st_mtime_ns == first
    assert (cut / "cv.json").read_bytes() == (whole / "cv.json").read_bytes()
    assert (cut / "predictions.csv").read_bytes() == (whole / "predictions.csv").read_bytes()


def test_seeds_share_the_split_and_differ_otherwise(tmp_path, interrupted, capsys):
    run = tmp_path / "seeds"
    interrupted.append("seed-5")
    assert seeds(run, "--seeds", "3,5") == 130
    assert seeds(run, "--seeds", "3,5") == 0
    splits = {(run / name / "split.csv").read_bytes() for name in (".", "seed-3", "seed-5")}
    assert len(splits) == 1
    assert [load_card(run / f"seed-{seed}").training["seed"] for seed in (3, 5)] == [3, 5]
    answers = [Predictions.load(run / f"seed-{seed}" / "predictions.npz") for seed in (3, 5)]
    assert answers[0].ids == answers[1].ids
    assert not np.array_equal(answers[0].logits, answers[1].logits)
    result = json.loads((run / "seeds.json").read_text())
    losses = [one["metrics"]["log_loss"]["value"] for one in result["seeds"]]
    assert result["spread"]["log_loss"]["mean"] == pytest.approx(np.mean(losses))
    found = result["mean_over_seeds"]["log_loss"]
    assert found["value"] == pytest.approx(np.mean(losses))
    assert found["low"] <= found["value"] <= found["high"]
    assert "2 seeds, the same pictures" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("kfold --folds 1", "--folds must be 2 or more, not 1"),
        ("kfold --folds 40", "too few for 40 folds; take --folds 14"),
        ("kfold --folds x", "--folds takes a whole number, not 'x'"),
        ("kfold --transfer.strategy nope", "strategy 'nope' is not one of"),
        ("kfold --trainer.devices 2", "catsdogs tune trains one run after the other in one process"),
        ("kfold --resume nowhere", "--resume takes what was started as it was; leave out --data.root"),
        ("seeds --seeds 1", "--seeds needs two or more different seeds, not 1"),
        ("seeds --seeds 1,1", "--seeds needs two or more different seeds, not 1,1"),
        ("seeds --seeds 1,b", "--seeds takes whole numbers with commas between them, not '1,b'"),
        ("seeds --count 1", "--seeds needs two or more different seeds, not 0"),
        ("seeds --seeds 0,-1", "--seed must be from 0 to"),
        ("seeds --data.test_fraction 0", "seeds are compared on the test pictures"),
        ("nothing", "catsdogs tune nothing: there are kfold, seeds, compare, search"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing_behind(tmp_path, capsys, line, said):
    job, *words = line.split()
    assert main(["tune", job, *TINY, *PROBE, *words, "--run", str(tmp_path / "new")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error
    assert not (tmp_path / "new").exists()


def test_other_settings_do_not_go_into_the_same_folder(tmp_path, capsys):
    run = tmp_path / "cv"
    assert main(["tune", "kfold", "--resume", str(run)]) == 2
    assert "holds nothing that catsdogs tune has started" in capsys.readouterr().err
    assert kfold(run, *PROBE) == 0
    assert kfold(run, *PROBE, "--seed", "1") == 2
    assert "cv was started with other settings; choose another --run" in capsys.readouterr().err
    assert main(["tune", "seeds", "--resume", str(run)]) == 2
    assert "cv was started by catsdogs tune kfold; go on with that" in capsys.readouterr().err
    assert main(["train", "--resume", str(run)]) == 2
    assert "holds no run" in capsys.readouterr().err
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    assert kfold(tmp_path / "mine", *PROBE) == 2
    assert "mine exists and is no work of catsdogs tune" in capsys.readouterr().err


def test_usage_names_the_jobs(capsys):
    for words in (["tune"], ["tune", "--help"]):
        assert main(words) == 0
        assert "kfold" in capsys.readouterr().out
