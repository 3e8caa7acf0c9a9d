"""A loss that is no number stops the training at its step, whatever made it so."""

import csv

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from proving import BATCH, make_classifier, named_plan, train

from catsdogs.core.errors import DivergedError
from catsdogs.data.samplers import EpochBatchSampler
from catsdogs.training.callbacks import BestModel
from catsdogs.training.callbacks.divergence import StopDiverged


class Spoil(Callback):
    """Does something to the classifier before one step, or after it."""

    def __init__(self, epoch, batch, spoil, after=False):
        self.at, self.spoil, self.after = (epoch, batch), spoil, after

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if not self.after and (trainer.current_epoch, batch_idx) == self.at:
            self.spoil(pl_module.classifier)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if self.after and (trainer.current_epoch, batch_idx) == self.at:
            self.spoil(pl_module.classifier)


def fill(value):
    def spoil(classifier):
        with torch.no_grad():
            classifier.head.fc.weight.fill_(value)
            classifier.head.fc.weight[0] *= -1

    return spoil


@pytest.fixture
def run(tmp_path):
    """Train for two epochs with a mistake; keep what was said, written and saved."""

    class Run:
        said, saved, table = [], [], tmp_path / "diverged.csv"

        def __call__(self, *callbacks):
            stop = StopDiverged(
                self.table, lambda e, b: [f"{e}/{b}/{i}" for i in (1, 2)], 2, self.said.append
            )
            classifier = make_classifier("resnet")
            plan = named_plan("finetune_full", classifier, epochs=2)
            best = BestModel(lambda _, epoch: self.saved.append(epoch))
            train(classifier, plan, tmp_path, *callbacks, stop, best)

    return Run()


def test_an_ordinary_training_is_not_stopped(run):
    run()
    assert run.said == []
    assert not run.table.exists()


@pytest.mark.parametrize("value", [torch.nan, torch.inf, 1e8])
def test_it_stops_at_the_step_and_names_what_was_in_it(run, value):
    with pytest.raises(DivergedError, match=r"at step 5 \(epoch 2\)"):
        run(Spoil(1, 1, fill(value)))
    with run.table.open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["path"] for row in rows] == ["1/1/1", "1/1/2"]
    assert {(row["epoch"], row["step"]) for row in rows} == {("1", "5")}
    assert run.saved == [0]


def test_a_last_step_that_spoils_the_weights_saves_nothing(run):
    with pytest.raises(DivergedError, match=r"weights are not finite|validation loss is"):
        run(Spoil(0, 2, fill(torch.nan), after=True))
    assert run.saved == []


def test_a_loss_that_has_exploded_is_said_once(run):
    run(Spoil(0, 1, fill(30.0)))
    (line,) = run.said
    assert line.startswith("warning: the training loss of epoch 1 is")
    assert "--transfer.learning_rate" in line


def test_names_are_those_of_the_examples_that_the_step_has_seen():
    from catsdogs.data.datamodule import FeatureDataModule

    rows = torch.arange(20.0)[:, None]
    data = FeatureDataModule((rows, [0] * 20), (rows[:0], []), batch_size=BATCH, seed=3)
    sampler = EpochBatchSampler(20, batch_size=BATCH, seed=3)
    sampler.set_epoch(4)
    for number, batch in enumerate(sampler):
        assert data.batch_names(4, number) == [f"row {index}" for _, index in batch]


def test_names_of_a_balanced_epoch_are_those_of_its_pictures():
    from catsdogs.data.datamodule import FeatureDataModule

    rows = torch.arange(20.0)[:, None]
    labels = [0] * 18 + [1] * 2
    data = FeatureDataModule((rows, labels), (rows[:0], []), batch_size=BATCH, seed=3, balanced=True)
    names = [name for batch in range(data.batches_per_epoch(1)) for name in data.batch_names(0, batch)]
    assert set(names) <= {f"row {index}" for index in range(20)}
    assert max(map(names.count, ("row 18", "row 19"))) > 1
