"""What a step minimises and counts where batches are mixed."""

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from proving import BATCH, Digests, digest, make_classifier, named_plan, pictures, train

from catsdogs.data.mixing import Mixing
from catsdogs.data.presets import AugmentationSpec
from catsdogs.training.losses import training_loss
from catsdogs.training.recipe import Loss
from catsdogs.training.task import share_right

BOTH = AugmentationSpec(mixup=1.0, cutmix=1.0)


class TestMixedLabels:
    logits = torch.tensor([[2.0, -1.0, 0.5], [0.0, 1.0, 3.0]])
    shares = torch.tensor([[0.7, 0.3, 0.0], [0.0, 0.4, 0.6]])

    @pytest.mark.parametrize("smoothing", [0.0, 0.1])
    def test_the_loss_is_that_of_both_labels_in_their_shares(self, smoothing):
        """Smoothing a mixed label and mixing smoothed labels are the same."""
        loss = Loss(label_smoothing=smoothing)
        rows = zip(self.logits, ((0, 1, 0.7), (2, 1, 0.6)), strict=True)
        expected = torch.stack(
            [
                share * training_loss(row[None], torch.tensor([first]), loss)
                + (1 - share) * training_loss(row[None], torch.tensor([second]), loss)
                for row, (first, second, share) in rows
            ]
        ).mean()
        torch.testing.assert_close(training_loss(self.logits, self.shares, loss), expected)

    def test_by_hand(self):
        log_p = self.logits - self.logits.exp().sum(1, keepdim=True).log()
        smoothed = 0.9 * self.shares + 0.1 / 3
        found = training_loss(self.logits, self.shares, Loss(label_smoothing=0.1))
        torch.testing.assert_close(found, -(smoothed * log_p).sum(1).mean())

    def test_a_picture_is_right_by_the_share_of_the_answered_class(self):
        assert share_right(self.logits, self.shares).tolist() == pytest.approx([0.7, 0.6])
        assert share_right(self.logits, torch.tensor([0, 1])).tolist() == [1.0, 0.0]


class Noting(Mixing):
    """Notes what it was drawn from."""

    def __call__(self, inputs, labels, **numbers):
        self.calls = [*getattr(self, "calls", ()), numbers]
        return super().__call__(inputs, labels, **numbers)


class Inputs(Callback):
    """Notes what enters the network while it trains."""

    def __init__(self):
        self.epochs = []

    def on_train_start(self, trainer, pl_module):
        pl_module.classifier.register_forward_pre_hook(self.note)

    def on_train_epoch_start(self, trainer, pl_module):
        self.epochs.append([])

    def note(self, network, given):
        if network.training:
            self.epochs[-1].extend(given[0])


def known(pictures_seen, all_pictures):
    """Return how many of the pictures seen are among those there are."""
    return sum(any(torch.equal(one, other) for other in all_pictures) for one in pictures_seen)


def test_the_network_sees_mixed_pictures_until_mixing_is_off(tmp_path):
    classifier = make_classifier("resnet", dropout=0.0)
    plan = named_plan("finetune_full", classifier, epochs=3)
    seen = Inputs()
    mixing = Noting(BOTH, classes=2, seed=0, until_epoch=2)
    train(classifier, plan, tmp_path, seen, mixing=mixing)
    counts = [known(epoch, pictures(classifier)[0]) for epoch in seen.epochs]
    whole = len(seen.epochs[0])
    assert whole % BATCH == 0
    assert counts[2] == whole
    assert max(counts[:2]) < whole / 2
    steps = range(whole // BATCH)
    assert mixing.calls == [{"epoch": epoch, "step": step, "rank": 0} for epoch in (0, 1) for step in steps]


def test_a_resumed_run_mixes_what_the_whole_one_mixed(tmp_path):
    def fresh(folder, *callbacks, checkpoint=None):
        classifier = make_classifier("resnet")
        plan = named_plan("finetune_full", classifier, epochs=3)
        mixing = Mixing(BOTH, classes=2, seed=0, until_epoch=2)
        train(classifier, plan, folder, *callbacks, checkpoint=checkpoint, mixing=mixing)
        return digest(classifier)

    class Keep(Digests):
        def on_train_epoch_start(self, trainer, pl_module):
            if trainer.current_epoch:
                (tmp_path / "last.ckpt").rename(tmp_path / f"{trainer.current_epoch}.ckpt")

    whole = fresh(tmp_path, Keep())
    for epoch in (1, 2):
        assert fresh(tmp_path / str(epoch), checkpoint=tmp_path / f"{epoch}.ckpt") == whole
