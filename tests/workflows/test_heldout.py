"""Which answers about known pictures may teach a threshold: those of pictures not learned from."""

import shutil

import numpy as np
import pytest

from catsdogs.cli.main import main
from catsdogs.core.predictions import Predictions
from catsdogs.data.splits import read_split
from catsdogs.workflows.clipping import submission_bound
from catsdogs.workflows.heldout import heldout
from catsdogs.workflows.runfolder import RunFolder

WORDS = ["train", "--data.root", "drawn:cat,dog?per_class=30&size=48"]
SMALL = ["--model.backbone", "test_resnet", "--model.weights", "none", "--model.input_size", "32"]


@pytest.fixture(scope="module", params=["linear_probe", "svm_probe", "finetune_full"])
def run(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / request.param
    tuned = ["--trainer.precision", "32-true", "--transfer.epochs", "1", "--transfer.batch_size", "8"]
    strategy = ["--transfer.strategy", request.param]
    assert (
        main([*WORDS, *SMALL, *strategy, *(tuned if "full" in request.param else []), "--run", str(folder)])
        == 0
    )
    return RunFolder(folder)


def split_of(run):
    return {record.id: (record.split, record.label) for record in read_split(run.split)}


def test_answers_are_those_of_pictures_not_learned_from(run):
    said, known = heldout(run.path), split_of(run)
    learned = set(run.read_plan()["fitted_on"]) if "recipe" not in run.read_plan() else {"val"}
    assert {known[name][0] for name in said.ids} == learned
    assert len(said) == sum(split in learned for split, _ in known.values())
    assert [known[name][1] for name in said.ids] == [said.class_names[label] for label in said.labels]


def test_out_of_fold_answers_are_those_that_the_plan_tells_of(run):
    said, told = Predictions.load(run.out_of_fold), run.read_plan()["probe"]
    assert len(said) == told["pictures"]
    assert np.mean(said.predicted == said.labels) == pytest.approx(told["accuracy"])
    true = said.probabilities[np.arange(len(said)), said.labels]
    assert -np.log(true).mean() == pytest.approx(told["log_loss"])


def test_a_submission_is_clipped_by_them(run, tmp_path):
    assert "held-out pictures" in submission_bound(run.path)[1]
    assert submission_bound(run.model) == submission_bound(run.path)
    alone = shutil.copytree(run.model, tmp_path / "alone")
    assert heldout(alone) is None
    assert submission_bound(alone)[0] == 0.005
