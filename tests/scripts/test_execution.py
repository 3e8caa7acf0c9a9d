import os

import numpy as np
import pytest
from benchmarks import execution
from benchmarks.cells import Cell, Domain
from benchmarks.execution import Places, bake_off_of, code_version, execute, score
from PIL import Image

from catsdogs.core.cachefolder import cache_folder
from catsdogs.core.files import write_json
from catsdogs.core.predictions import Predictions

CELL = Cell(Domain("kaggle", "source"), 10)


@pytest.fixture
def places(tmp_path):
    folder = tmp_path / "real" / "source"
    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)
    for label in ("cat", "dog"):
        for number in range(15):
            noise = draw.integers(0, 256, (30, 40, 3), dtype=np.uint8)
            Image.fromarray(noise).save(folder / f"{label}.{number}.png")
    return Places(tmp_path / "real", tmp_path / "work")


def even(manifests):
    """Predictions that are right about cats and wrong about dogs."""
    count = len(execution._column(manifests.test, "half"))
    labels = np.array([name == "dog" for name in execution._column(manifests.test, "label")], dtype=int)
    return Predictions(tuple(map(str, range(count))), ("cat", "dog"), np.tile([1.0, 0.0], (count, 1)), labels)


@pytest.fixture
def trained(monkeypatch):
    """Stands in for training and predicting; remembers the caches that the runs were given."""
    caches = []

    def train(settings, path):
        caches.append((cache_folder(), sorted(entry.name for entry in cache_folder().iterdir())))
        (cache_folder() / "features").mkdir()
        trials = cache_folder() / "trials.json"
        if not trials.exists():
            write_json(trials, {"forward": "fp32"})
        print("training", settings.transfer.strategy, settings.data.root)
        (path / "model").mkdir(parents=True)
        write_json(path / "plan.json", {"strategy": settings.transfer.strategy})

    monkeypatch.setattr(execution, "train", train)
    monkeypatch.setattr(execution, "predict_test", lambda run, manifests: even(manifests))
    return caches


def test_a_run_gives_a_row_and_leaves_its_log_but_not_its_model(trained, places, capsys):
    row = execute(CELL, 0, "linear_probe", places)
    assert (row.status, row.picked, row.n_train, row.n_a + row.n_b) == ("ok", "linear_probe", 10, 20)
    folder = places.run(CELL, 0, "linear_probe")
    assert "training linear_probe" in (folder / "log.txt").read_text()
    assert (folder / "run" / "plan.json").is_file()
    assert not (folder / "run" / "model").exists()
    assert capsys.readouterr() == ("", "")


def test_every_run_has_an_empty_cache_but_for_audits_and_trials(trained, places):
    before = os.environ["CATSDOGS_CACHE"]
    for strategy in ("linear_probe", "auto"):
        execute(CELL, 0, strategy, places)
    folders, contents = zip(*trained, strict=True)
    assert len(set(folders)) == len(folders)
    assert set(map(tuple, contents)) == {("audit", "trials.json")}
    assert any((places.cache / "audit").iterdir())
    assert os.environ["CATSDOGS_CACHE"] == before
    assert sorted(path.name for path in places.work.iterdir()) == ["cache", "cells", "runs"]


def test_a_run_that_timed_a_trial_is_timed_again(trained, places):
    execute(CELL, 0, "linear_probe", places)
    assert len(trained) == 2
    execute(CELL, 0, "auto", places)
    assert len(trained) == 3


def test_catsdogs_is_given_the_training_pictures_alone(trained, places):
    execute(CELL, 0, "linear_probe", places)
    assert "cells/kaggle-10-0/train.csv" in (places.run(CELL, 0, "linear_probe") / "log.txt").read_text()


def test_a_mistake_becomes_a_row(places):
    row = execute(CELL, 0, "linear_probe", places)
    assert (row.status, row.cell, row.seed) == ("error", "kaggle-10", 0)
    assert "mobilenetv2_100.safetensors" in row.reason
    assert row.reason.count("\n") == 0


def test_a_crash_becomes_a_row_and_the_log_tells_where(places, monkeypatch):
    monkeypatch.setattr(execution, "train", lambda settings, path: 1 / 0)
    assert execute(CELL, 0, "auto", places).reason == "ZeroDivisionError: division by zero"
    assert "Traceback" in (places.run(CELL, 0, "auto") / "log.txt").read_text()


def test_an_interrupt_is_not_a_row(places, monkeypatch):
    def interrupted(settings, path):
        raise KeyboardInterrupt

    monkeypatch.setattr(execution, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        execute(CELL, 0, "auto", places)


def test_scores_are_those_of_each_half_without_unreadable_pictures():
    logits = np.log([[0.8, 0.2], [0.4, 0.6], [np.nan, np.nan], [0.5, 0.5], [0.1, 0.9]])
    labels = np.array([0, 0, 0, 0, 1])
    predictions = Predictions(tuple("vwxyz"), ("cat", "dog"), logits, labels, {2: "broken"})
    found = score(predictions, ["a", "a", "a", "b", "b"])
    assert (found["n_a"], found["n_b"]) == (2, 2)
    assert (found["accuracy_a"], found["accuracy_b"]) == (0.5, 1.0)
    assert found["log_loss_a"] == pytest.approx(-np.log([0.8, 0.4]).mean())
    assert found["log_loss_b"] == pytest.approx(-np.log([0.5, 0.9]).mean())


def test_the_candidates_are_the_choice_and_its_runner_up():
    choice = {"strategy": "svm_probe", "runner_up": "finetune_full"}
    assert bake_off_of({"strategy": "svm_probe", "choice": choice, "bake_off": {}}) == list(choice.values())
    assert bake_off_of({"strategy": "svm_probe", "choice": choice}) == []
    assert code_version()
