"""The auxiliary classifier: it learns, it helps the layers under it, and nothing of it stays in the model."""

import copy
import shutil

import pytest
import torch
from safetensors import safe_open
from torch.nn import functional as F

from catsdogs.cli.main import main
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.models.backbones import create_backbone, feature_width
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HeadSpec
from catsdogs.models.layergroups import layer_groups
from catsdogs.models.modelfile import load_model
from catsdogs.models.networkspec import CNN, NetworkSpec
from catsdogs.training.auxiliary import AuxiliaryClassifier
from catsdogs.training.callbacks import EpochLog
from catsdogs.training.optimizers import HEAD, parameter_groups
from catsdogs.training.recipe import Loss, Recipe
from catsdogs.training.task import ClassificationTask
from catsdogs.transfer.strategies import find_strategy, freeze_plan

PIXELS = torch.randint(0, 256, (6, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])


@pytest.fixture
def classifier():
    torch.manual_seed(0)
    backbone, _ = create_backbone(CNN, network=NetworkSpec(width=4))
    head = build_head(feature_width(backbone), 3, HeadSpec())
    return ImageClassifier(backbone, head, PreprocessSpec(32, 32)).train()


def gradients(classifier, loss):
    classifier.zero_grad()
    loss.backward()
    return {name for name, p in classifier.named_parameters() if p.grad is not None and p.grad.any()}


def test_its_logits_are_those_of_the_third_stage(classifier):
    auxiliary = AuxiliaryClassifier(classifier, 0.3, seed=0)
    classifier(PIXELS)
    given = auxiliary.loss(LABELS, Loss(label_smoothing=0.1))
    third = classifier.backbone.forward_intermediates(
        classifier.normalize(PIXELS), indices=[3], intermediates_only=True
    )[0]
    expected = F.cross_entropy(auxiliary.head(third.mean((2, 3))), LABELS, label_smoothing=0.1)
    torch.testing.assert_close(given, 0.3 * expected)


def test_its_gradient_reaches_itself_and_the_layers_under_it_alone(classifier):
    auxiliary = AuxiliaryClassifier(classifier, 0.3, seed=0)
    classifier(PIXELS)
    reached = gradients(classifier, auxiliary.loss(LABELS, Loss()))
    below = ("backbone.stem", "backbone.stages.0", "backbone.stages.1", "backbone.stages.2")
    assert reached == {name for name, _ in classifier.named_parameters() if name.startswith(below)}
    assert all(parameter.grad.any() for parameter in auxiliary.parameters())


def test_frozen_layers_stay_without_gradients(classifier):
    auxiliary = AuxiliaryClassifier(classifier, 0.3, seed=0)
    groups = layer_groups(classifier.backbone)
    classifier.set_trainable(groups[-2].parameters + groups[-1].parameters)
    classifier.train()(PIXELS)
    reached = gradients(classifier, auxiliary.loss(LABELS, Loss()))
    assert reached
    assert all(name.startswith("backbone.stages.2") for name in reached)
    classifier.set_trainable(())
    classifier.train()(PIXELS)
    assert not gradients(classifier, auxiliary.loss(LABELS, Loss()))


def test_it_learns_like_the_head(classifier):
    auxiliary = AuxiliaryClassifier(classifier, 0.3, seed=0)
    groups = layer_groups(classifier.backbone)
    plan = freeze_plan(find_strategy("from_scratch"), len(groups), epochs=1)
    recipe = Recipe(1, 0.1, 3.0, 0.5, 8, 0, 0)
    parts = parameter_groups(classifier, groups, plan, recipe, [auxiliary])
    of_heads = [part for part in parts if part["layer_group"] == HEAD]
    held = {id(p) for part in of_heads for p in part["params"]}
    wanted = [*classifier.head.parameters(), *auxiliary.parameters()]
    assert held == set(map(id, wanted))
    assert all(part["lr"] == pytest.approx(0.3) for part in of_heads)


def test_classifier_and_random_numbers_are_left_as_they_were(classifier):
    before = set(classifier.state_dict())
    torch.manual_seed(3)
    AuxiliaryClassifier(classifier, 0.3, seed=0)
    drawn = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(1))
    assert set(classifier.state_dict()) == before


def test_nothing_of_a_step_stays_behind(classifier):
    """A copy of the classifier is what averages and trials work with."""
    auxiliary = AuxiliaryClassifier(classifier, 0.3, seed=0)
    classifier(PIXELS)
    auxiliary()
    again = copy.deepcopy(classifier).eval()
    assert torch.equal(again(PIXELS), classifier.eval()(PIXELS))


RUN = [
    *["train", "--data.root", "drawn:cat,dog?per_class=20&size=40", "--data.workers", "0"],
    *["--model.backbone", CNN, "--model.input_size", "32", "--network.width", "4"],
    *["--transfer.strategy", "from_scratch", "--transfer.epochs", "2", "--transfer.batch_size", "8"],
    *["--model.dropout", "0.2", "--network.dropout", "0.2", "--model.stochastic_depth", "0.2"],
    *["--trainer.deterministic", "true", "--trainer.precision", "32-true"],
]


def test_a_run_trains_it_resumes_bit_equal_and_leaves_it_out_of_the_model(tmp_path, monkeypatch):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    right = EpochLog.on_train_batch_start

    def copying(self, trainer, pl_module, batch, batch_idx):
        """What a kill in the second epoch leaves behind is the folder as it lies there."""
        right(self, trainer, pl_module, batch, batch_idx)
        if trainer.current_epoch == 1 and not killed.exists():
            shutil.copytree(trainer.default_root_dir, killed)

    monkeypatch.setattr(EpochLog, "on_train_batch_start", copying)
    assert main([*RUN, "--network.auxiliary", "0.5", "--run", str(whole)]) == 0
    first, end = checkpoint(killed), checkpoint(whole)
    assert main(["train", "--resume", str(killed)]) == 0
    resumed = checkpoint(killed)
    assert all(torch.equal(value, resumed[name]) for name, value in end.items())
    own = {name for name in end if name.startswith("auxiliary.")}
    assert own == {"auxiliary.head.fc.weight", "auxiliary.head.fc.bias"}
    assert all(not torch.equal(first[name], end[name]) for name in own)
    names = {name.removeprefix("classifier.") for name in end if name.startswith("classifier.")}
    with safe_open(whole / "model" / "model.safetensors", framework="pt") as opened:
        assert set(opened.keys()) == names
    assert load_model(whole)[1].network == NetworkSpec(width=4, dropout=0.2)


def checkpoint(run):
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def test_its_weight_counts_and_the_logged_loss_is_the_classifiers_own(classifier, tmp_path):
    """The task adds it to what is minimised, not to what is shown."""
    groups = layer_groups(classifier.backbone)
    plan = freeze_plan(find_strategy("from_scratch"), len(groups), epochs=1)
    recipe = Recipe(1, 0.1, 1.0, 1.0, 8, 0, 0)
    auxiliary = AuxiliaryClassifier(classifier, 0.5, seed=0)
    task = ClassificationTask(
        classifier, recipe, groups=groups, plan=plan, batches_per_epoch=1, auxiliary=auxiliary
    )
    task.log_dict = lambda *_, **__: None
    total = task.training_step((PIXELS, LABELS), 0)
    shown = task.train_loss.compute()
    torch.testing.assert_close(shown, F.cross_entropy(classifier(PIXELS), LABELS))
    torch.testing.assert_close(total, shown + auxiliary.loss(LABELS, Loss()))
