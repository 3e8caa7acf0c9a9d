"""Freezing before the network is wrapped, at each epoch, and when early stopping may begin to count."""

from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from proving import make_classifier, named_plan, train

from catsdogs.models.layergroups import layer_groups
from catsdogs.training.callbacks import StopEarly
from catsdogs.training.freezing import ApplyPlan, freeze_for_wrapping
from catsdogs.training.optimizers import training_parameters


@pytest.fixture
def classifier():
    return make_classifier("resnet")


def trainable(classifier):
    return {name for name, parameter in classifier.backbone.named_parameters() if parameter.requires_grad}


def apply_at(epoch, classifier, plan):
    callback = ApplyPlan(layer_groups(classifier.backbone), plan)
    callback.on_train_epoch_start(
        SimpleNamespace(current_epoch=epoch), SimpleNamespace(classifier=classifier)
    )


def test_before_wrapping_only_what_never_trains_is_frozen(classifier):
    groups = layer_groups(classifier.backbone)
    plan = named_plan("finetune_top", classifier, frozen_epochs=2)
    freeze_for_wrapping(classifier, groups, plan)
    assert trainable(classifier) == {*groups[-1].parameters, *groups[-2].parameters}
    assert not classifier.backbone.conv1.training
    assert classifier.training


def test_the_epoch_alone_says_what_trains_in_whatever_order_epochs_come(classifier):
    groups = layer_groups(classifier.backbone)
    plan = named_plan("gradual", classifier, epochs=4, frozen_epochs=1)
    for epoch in (4, 0, 2, 9, 1, 3, 0):
        apply_at(epoch, classifier, plan)
        assert trainable(classifier) == training_parameters(classifier, groups, plan, epoch)
        assert classifier.backbone.layer4.training == (epoch > 0)
        assert classifier.backbone.conv1.training == (epoch >= 4)


def test_rates_and_gradients_agree_on_what_trains(tmp_path, classifier):
    """A group has a rate exactly while its tensors require gradients, at every step of a real training."""
    seen = []

    class Look(Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            for group in trainer.optimizers[0].param_groups:
                wanted = {parameter.requires_grad for parameter in group["params"]}
                seen.append({group["lr"] > 0} == wanted)

    plan = named_plan("gradual", classifier, epochs=3, frozen_epochs=1)
    train(classifier, plan, tmp_path, Look())
    assert seen
    assert all(seen)


class TestStopEarly:
    def stopped_after(self, folder, *, first_epoch=None, checkpoint=None):
        """Return the epochs that a training with an ever worse validation loss does, and its plan."""
        epochs = []

        class Worse(StopEarly):
            def on_validation_end(self, trainer, pl_module):
                trainer.callback_metrics["val_loss"] = torch.tensor(float(trainer.current_epoch))
                super().on_validation_end(trainer, pl_module)

            def on_train_epoch_end(self, trainer, pl_module):
                epochs.append(trainer.current_epoch)
                trainer.callback_metrics["val_loss"] = torch.tensor(float(trainer.current_epoch))
                super().on_train_epoch_end(trainer, pl_module)

        classifier = make_classifier("resnet")
        plan = named_plan("gradual", classifier, epochs=8, frozen_epochs=2)
        stop = Worse(patience=1, first_epoch=plan.starts[-1] if first_epoch is None else first_epoch)
        train(classifier, plan, folder, stop, checkpoint=checkpoint)
        return epochs, plan

    def test_does_not_fire_before_the_last_phase_has_begun(self, tmp_path):
        epochs, plan = self.stopped_after(tmp_path)
        assert plan.starts[-1] > 2
        assert epochs[-1] == plan.starts[-1] + 1

    def test_without_that_it_would(self, tmp_path):
        epochs, plan = self.stopped_after(tmp_path, first_epoch=0)
        assert epochs[-1] == 1 < plan.starts[-1]

    def test_one_that_had_stopped_does_not_go_on_when_resumed(self, tmp_path):
        self.stopped_after(tmp_path)
        epochs, _ = self.stopped_after(tmp_path / "again", checkpoint=tmp_path / "last.ckpt")
        assert epochs == []
