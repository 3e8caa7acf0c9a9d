"""Options of the recipe through the real command line: what they change in a run, and what is refused."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image

from catsdogs.cli.main import main
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.core.records import ImageRecord
from catsdogs.data.augmentation import Augmentation
from catsdogs.data.datasets import AugmentedPictures, LabelledPictures
from catsdogs.data.presets import PRESETS
from catsdogs.models.modelcard import load_card
from catsdogs.models.modelfile import load_model
from catsdogs.training.task import ClassificationTask

DRAWN = ["--data.root", "drawn:cat,dog?per_class=20&size=40", "--data.workers", "0"]
SMALL = ["--model.backbone", "test_resnet", "--model.weights", "none", "--model.input_size", "32"]
SURE = ["--trainer.deterministic", "true", "--trainer.precision", "32-true", "--transfer.batch_size", "8"]
FULL = ["--transfer.strategy", "finetune_full"]
HEAD = ["--transfer.strategy", "linear_probe", "--model.head", "mlp"]


def run(place, *words, root=DRAWN):
    assert main(["train", "--run", str(place), *root, *SMALL, *SURE, *words]) == 0
    return place


def rows(place):
    with (place / "metrics.csv").open() as stream:
        return list(csv.DictReader(stream))


def test_lbfgs_trains_a_head_on_all_pictures_at_once(tmp_path):
    place = run(tmp_path / "run", *HEAD, "--solver.name", "lbfgs", "--transfer.epochs", "3")
    state = torch.load(place / "checkpoints" / "last.ckpt", weights_only=True)
    assert state["global_step"] == 3
    assert len(state["optimizer_states"][0]["state"][0]["old_dirs"]) > 3, "several searches in each step"
    assert json.loads((place / "plan.json").read_text())["recipe"]["learning_rate"] == pytest.approx(1.0)


@pytest.fixture(scope="module")
def rare(tmp_path_factory):
    """Forty grey pictures and two bright ones, of which one is to be learned from."""
    folder = tmp_path_factory.mktemp("rare")
    chance = np.random.default_rng(0)
    for name, number, level in (("grey", 40, 0), ("bright", 4, 120)):
        (folder / name).mkdir()
        for index in range(number):
            pixels = chance.integers(0, 100, (36, 36, 3), dtype=np.uint8) + np.uint8(level)
            Image.fromarray(pixels).save(folder / name / f"{index}.png")
    return ["--data.root", str(folder), "--data.workers", "0"]


def test_a_rare_class_is_named_and_balanced_accuracy_reported_and_each_remedy_acts(
    tmp_path, rare, capsys, monkeypatch
):
    seen = []
    right = ClassificationTask.training_step

    def noting(self, batch, index):
        seen.append((batch[1].tolist(), self.class_weights))
        return right(self, batch, index)

    monkeypatch.setattr(ClassificationTask, "training_step", noting)
    words = [*FULL, "--transfer.epochs", "1"]
    run(tmp_path / "natural", *words, root=rare)
    said = capsys.readouterr().out
    assert "warning: rare: 'bright' (1 training picture in" in said
    assert "--data.sampler balanced or --loss.class_weights balanced" in said
    assert "test balanced accuracy" in said
    assert "val accuracy" in said
    assert all(weights is None for _, weights in seen)
    usual = [label for labels, _ in seen for label in labels]
    seen.clear()
    run(tmp_path / "sampler", *words, "--data.sampler", "balanced", root=rare)
    assert "val balanced accuracy" in capsys.readouterr().out
    drawn = [label for labels, _ in seen for label in labels]
    assert abs(2 * drawn.count(0) - len(drawn)) <= 8 < abs(2 * usual.count(0) - len(usual))
    seen.clear()
    run(tmp_path / "weights", *words, "--loss.class_weights", "balanced", root=rare)
    assert sorted(label for labels, _ in seen for label in labels) == sorted(usual)
    assert float(seen[0][1][0]) > 2 * float(seen[0][1][1]), "bright is class 0"


def test_a_picture_that_is_drawn_twice_is_cropped_twice(tmp_path):
    path = tmp_path / "one.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(path)
    records = LabelledPictures((ImageRecord("one.png", str(tmp_path), "one.png"),), (1,))
    spec = PreprocessSpec(32, 32)
    pictures = AugmentedPictures(records, spec, Augmentation(spec, PRESETS["light"], seed=0))
    (first, label), (second, again) = pictures[0, 0], pictures[0, 1]
    assert (label, again) == (1, 1)
    assert not torch.equal(first, second)


def test_l2_sp_keeps_the_backbone_near_its_start_also_after_a_resume(tmp_path):
    """The start is that of the run, not that of the checkpoint."""
    far = run(tmp_path / "far", *FULL, "--transfer.epochs", "2", "--transfer.learning_rate", "0.003")
    strong = ["--loss.l2_sp", "100", "--transfer.epochs", "2", "--transfer.learning_rate", "0.003"]
    near = run(tmp_path / "near", *FULL, *strong)

    def moved(place):
        start, end = (load_model(folder)[0].backbone for folder in (place / "checkpoints" / "start", place))
        pairs = zip(start.parameters(), end.parameters(), strict=True)
        return sum(float((a - b).detach().norm()) for a, b in pairs if a.ndim > 1)

    assert moved(near) < 0.5 * moved(far)


def test_who_asks_for_steps_where_there_are_none_is_told(tmp_path, capsys):
    probe = ["--transfer.strategy", "linear_probe"]
    run(tmp_path / "run", *probe, "--averaging.interpolation", "0.5", "--solver.name", "sgd")
    told = "warning: --solver, --averaging: no effect, for linear_probe is fitted without gradient epochs"
    assert told in capsys.readouterr().out.replace("\n", " ")
    run(tmp_path / "plain", *probe)
    assert "no effect" not in capsys.readouterr().out


@pytest.mark.slow
def test_a_soup_is_kept_where_validation_says_that_it_is_no_worse(tmp_path, capsys):
    words = [*FULL, "--transfer.epochs", "4", "--averaging.kind", "soup", "--averaging.models", "3"]
    place = run(
        tmp_path / "run", *words, "--transfer.learning_rate", "0.003", "--transfer.patience_epochs", "0"
    )
    said = capsys.readouterr().out
    training = load_card(place).training
    losses = [float(row["val_loss"]) for row in rows(place)]
    assert training["epoch"] == int(np.argmin(losses))
    assert ("soup" in training) == ("soup of epochs" in said)
    assert ("no soup" in said) == ("soup" not in training)
    assert not (place / "checkpoints" / "soup").exists()


MISTAKES = [
    (["--solver.name", "lbfgs", *FULL], "--solver.name lbfgs works only where a head trains alone"),
    (["--solver.name", "lbfgs"], "--solver.name lbfgs works only where a head trains alone"),
    (
        ["--solver.name", "lbfgs", *HEAD, "--transfer.learning_rate", "find"],
        "leave out --transfer.learning_rate",
    ),
    (["--solver.name", "lbfgs", *HEAD, "--model.dropout", "0.5"], "leave out --model.dropout"),
    (["--solver.name", "sgd", "--solver.eps", "0.1"], "sgd has no --solver.eps; leave it out"),
    (["--data.sampler", "balanced", "--loss.class_weights", "balanced"], "correct twice: take one"),
    (
        ["--loss.l2_sp", "0.1", "--transfer.strategy", "from_scratch"],
        "from_scratch has no pretrained weights",
    ),
    (["--schedule.name", "plateau", "--data.val_fraction", "0"], "there are no validation pictures"),
    (["--averaging.kind", "soup", "--data.val_fraction", "0"], "there are no validation pictures"),
    (["--solver.name", "sdg"], "--solver.name takes one of"),
]


@pytest.mark.parametrize(("words", "line"), MISTAKES)
def test_what_cannot_be_is_refused_in_one_line(tmp_path, capsys, words, line):
    assert main(["train", "--run", str(tmp_path / "run"), *DRAWN, *SMALL, *words]) == 2
    err = capsys.readouterr().err
    assert line in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["one_cycle", "plateau"])
def test_plans_draw_the_schedule(tmp_path, capsys, name):
    words = [
        "plan",
        *DRAWN,
        *SMALL,
        *FULL,
        "--pictures",
        "200",
        "--schedule.name",
        name,
        "--out",
        str(tmp_path),
    ]
    assert main(words) == 0
    assert ("best case" in capsys.readouterr().out) == (name == "plateau")
    assert (tmp_path / "plan.png").stat().st_size > 5000
