"""What a plan freezes is frozen, what it unfreezes learns, and a resumed run cannot be told from a whole one.

Each check is also seen to fail: the known mistakes are put in on purpose.
"""

from types import SimpleNamespace

import pytest
import torch
from proving import FAMILIES, Digests, Witness, digest, make_classifier, named_plan, train
from torch.nn.modules.batchnorm import _BatchNorm

from catsdogs.models import classifier as classifier_module
from catsdogs.models.classifier import ImageClassifier
from catsdogs.training.freezing import ApplyPlan
from catsdogs.transfer.strategies import STRATEGIES

# Every strategy, every kind of layer, and every way of freezing over epochs at least once.
ALWAYS = [
    ("finetune_top", "resnet", {}),
    ("surgical", "efficientnet", {}),
    ("surgical", "vit", {"frozen_epochs": 1}),
    ("gradual", "vit", {"epochs": 3}),
    ("gradual", "swin", {"epochs": 2, "frozen_epochs": 1}),
    ("finetune_top", "coatnet", {}),
    ("norm_and_bias", "convnext", {"frozen_epochs": 1}),
    ("finetune_full", "swin", {}),
    ("from_scratch", "byobnet", {"frozen_epochs": 1}),
    ("linear_probe", "resnet", {}),
    ("gradual", "cnn", {"epochs": 2}),
    ("norm_and_bias", "cnn", {}),
]
TRAINING = [name for name, strategy in STRATEGIES.items() if strategy.trains_backbone]


def assert_proven(folder, name, family, **options):
    """Train with a witness; return the trained classifier."""
    classifier = make_classifier(family)
    plan = named_plan(name, classifier, **options)
    witness = Witness(plan)
    train(classifier, plan, folder, witness)
    assert witness.epochs == plan.epochs
    return classifier


@pytest.mark.parametrize(("name", "family", "options"), ALWAYS)
def test_frozen_is_frozen_and_unfrozen_learns(tmp_path, name, family, options):
    assert_proven(tmp_path, name, family, **options)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", TRAINING)
@pytest.mark.parametrize("frozen_epochs", [0, 1])
def test_every_strategy_on_every_family(tmp_path, name, family, frozen_epochs):
    epochs = 3 if name == "gradual" else 1
    assert_proven(tmp_path, name, family, epochs=epochs, frozen_epochs=frozen_epochs)


@pytest.mark.parametrize("family", ["resnet", "vit"])
def test_statistics_that_may_move_move_in_unfrozen_layers_only(tmp_path, family):
    classifier = make_classifier(family)
    plan = named_plan("gradual", classifier, epochs=2)
    classifier.frozen_statistics = False
    witness = Witness(plan)
    train(classifier, plan, tmp_path, witness)
    assert witness.epochs == plan.epochs


class TestKnownMistakes:
    """The witness sees each of them."""

    def test_drifting_statistics(self, tmp_path, monkeypatch):
        monkeypatch.setattr(ImageClassifier, "train", torch.nn.Module.train)
        monkeypatch.setattr("proving.check_frozen_features", lambda _: None)
        with pytest.raises(AssertionError, match=r"running_mean moved|num_batches_tracked moved"):
            assert_proven(tmp_path, "finetune_top", "resnet")

    def test_batch_statistics_in_a_frozen_layer(self, tmp_path, monkeypatch):
        """They are used but not kept, so nothing that is saved gives them away."""
        right = ImageClassifier.train

        def wrong(self, mode=True):
            right(self, mode)
            for module in self.backbone.modules():
                if isinstance(module, _BatchNorm) and mode:
                    module.training, module.momentum, module.num_batches_tracked = True, 0.0, None
            return self

        monkeypatch.setattr(ImageClassifier, "train", wrong)
        with pytest.raises(AssertionError, match="computes as if it trained"):
            assert_proven(tmp_path, "finetune_top", "resnet")

    @pytest.mark.parametrize(("name", "family"), [("finetune_top", "vit"), ("surgical", "convnext")])
    def test_frozen_layers_that_drop(self, tmp_path, monkeypatch, name, family):
        monkeypatch.setattr(classifier_module, "_frozen_modules", lambda _: [])
        with pytest.raises(AssertionError, match=r"computes as if it trained|features differ"):
            assert_proven(tmp_path, name, family)

    def test_dropout_before_the_first_frozen_block(self, tmp_path, monkeypatch):
        """A frozen block's modules are not all that is frozen: position dropout belongs to no block."""
        right = classifier_module._frozen_modules
        monkeypatch.setattr(
            classifier_module, "_frozen_modules", lambda net: [m for m in right(net) if m is not net.pos_drop]
        )
        with pytest.raises(AssertionError, match="frozen features differ"):
            assert_proven(tmp_path, "finetune_top", "vit")

    def test_a_layer_that_never_unfreezes(self, tmp_path):
        classifier = make_classifier("resnet")
        plan = named_plan("gradual", classifier, epochs=2)

        class Forgetful(ApplyPlan):
            def on_train_epoch_start(self, trainer, pl_module):
                if trainer.current_epoch == 0:
                    super().on_train_epoch_start(trainer, pl_module)

        with pytest.raises(AssertionError, match="trains: False"):
            train(classifier, plan, tmp_path, Witness(plan), applying=Forgetful)

    def test_an_optimizer_that_holds_what_is_frozen(self, tmp_path, monkeypatch):
        monkeypatch.setattr(
            "catsdogs.training.optimizers.training_parameters",
            lambda classifier, *_: frozenset(name for name, _ in classifier.backbone.named_parameters()),
        )
        with pytest.raises(AssertionError, match="optimizer holds other tensors"):
            assert_proven(tmp_path, "finetune_top", "resnet")


RESUMED = [("resnet", 0), ("vit", 1)]


def assert_resumes_everywhere(folder, family, frozen_epochs, *, applying=ApplyPlan):
    """Train once whole; then from each epoch's checkpoint on; hold the rest of the epochs to be the same."""

    def fresh(place, *callbacks, checkpoint=None):
        classifier = make_classifier(family)
        plan = named_plan("gradual", classifier, epochs=3, frozen_epochs=frozen_epochs)
        train(classifier, plan, place, *callbacks, checkpoint=checkpoint, applying=applying)
        return classifier, plan

    class Keep(Digests):
        """Keeps the checkpoint that a run killed in this epoch would find."""

        def on_train_epoch_start(self, trainer, pl_module):
            if trainer.current_epoch:
                (folder / "last.ckpt").rename(folder / f"{trainer.current_epoch}.ckpt")

    whole = Keep()
    expected, plan = fresh(folder, whole)
    assert len(set(whole.found)) == plan.epochs == 3 + frozen_epochs
    for epoch in range(1, plan.epochs):
        rest = Digests()
        again, _ = fresh(folder / str(epoch), rest, checkpoint=folder / f"{epoch}.ckpt")
        assert rest.found == whole.found[epoch:], f"resumed in epoch {epoch}, it learned something else"
        assert digest(again) == digest(expected)


@pytest.mark.parametrize(("family", "frozen_epochs"), RESUMED)
def test_resuming_before_at_and_after_each_unfreezing_is_bit_equal(tmp_path, family, frozen_epochs):
    assert_resumes_everywhere(tmp_path, family, frozen_epochs)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_resumes_bit_equal(tmp_path, family):
    assert_resumes_everywhere(tmp_path, family, 1)


def test_freezing_again_on_resume_is_seen(tmp_path):
    class Refreezing(ApplyPlan):
        """Counts epochs from its own start, as Lightning's BackboneFinetuning did (its bug 21901)."""

        def on_train_start(self, trainer, pl_module):
            self.begun = trainer.current_epoch

        def on_train_epoch_start(self, trainer, pl_module):
            counted = SimpleNamespace(current_epoch=trainer.current_epoch - self.begun)
            super().on_train_epoch_start(counted, pl_module)

    with pytest.raises(AssertionError, match="resumed in epoch 1, it learned something else"):
        assert_resumes_everywhere(tmp_path, "resnet", 0, applying=Refreezing)
