"""What the plan says about augmentation is what training gets."""

import json

import numpy as np
import pytest

from catsdogs.cli.main import main
from catsdogs.data.mixing import Mixing
from catsdogs.data.presets import PRESETS, AugmentationSettings, AugmentationSpec
from catsdogs.models.modelcard import load_card
from catsdogs.training.recipe import Recipe
from catsdogs.transfer.strategies import FreezePlan, Phase, find_strategy
from catsdogs.workflows.data import training_data, training_mixing
from catsdogs.workflows.runfolder import RunFolder
from catsdogs.workflows.settings import TrainSettings
from catsdogs.workflows.start import augmentation_for

RUN = [
    *["train", "--data.root", "drawn:cat,dog?per_class=8&size=40", "--data.workers", "0"],
    *["--model.backbone", "test_resnet", "--model.weights", "none", "--model.input_size", "32"],
    *["--transfer.batch_size", "4", "--transfer.epochs", "2", "--trainer.precision", "32-true"],
]


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """A run that trains the backbone with an option on top of a preset."""
    run = tmp_path_factory.mktemp("runs") / "tuned"
    words = ["--transfer.strategy", "from_scratch", "--augmentation.preset", "none"]
    assert main([*RUN, *words, "--augmentation.mixup", "0.5", "--run", str(run)]) == 0
    return RunFolder(run)


def first_picture(run, plan):
    card = load_card(run.model)
    data = training_data(plan, Recipe.from_dict(plan["recipe"]), card, TrainSettings(), run)
    return [data._train[epoch, 0][0].numpy() for epoch in (0, 1)]


def test_the_plan_holds_the_resolved_values(tuned):
    assert AugmentationSpec.from_dict(tuned.read_plan()["augmentation"]) == AugmentationSpec(mixup=0.5)


def test_training_follows_the_plan(tuned):
    plan = tuned.read_plan()
    same = first_picture(tuned, plan)
    np.testing.assert_array_equal(*same)
    changed = first_picture(tuned, plan | {"augmentation": PRESETS["light"].to_dict()})
    assert (changed[0] != changed[1]).any()


def test_mixing_ends_before_the_last_epochs(tuned):
    plan, card = tuned.read_plan(), load_card(tuned.model)
    recipe = Recipe.from_dict(plan["recipe"])
    plan["augmentation"]["mixing_off_epochs"] = 1
    mixing = training_mixing(plan, recipe, card)
    assert [mixing.is_on(epoch) for epoch in range(2)] == [True, False]
    assert training_mixing(plan, recipe, card, until_epoch=2).is_on(1)
    assert training_mixing(plan | {"augmentation": PRESETS["medium"].to_dict()}, recipe, card) is None


def test_a_head_on_features_gets_mixup_and_is_told_that_it_gets_nothing_else(tmp_path, capsys, monkeypatch):
    mixed, right = [], Mixing.__call__

    def noting(self, inputs, labels, **numbers):
        mixed.append((inputs.ndim, numbers["epoch"]))
        return right(self, inputs, labels, **numbers)

    monkeypatch.setattr(Mixing, "__call__", noting)
    words = ["--transfer.strategy", "linear_probe", "--model.head", "mlp", "--run", str(tmp_path / "run")]
    words += ["--augmentation.preset", "strong", "--augmentation.mixup", "5"]
    assert main([*RUN, *words, "--augmentation.mixing_off_epochs", "1"]) == 0
    assert "only mixup works there" in capsys.readouterr().out
    plan = json.loads((tmp_path / "run" / "plan.json").read_text())
    assert plan["augmentation"]["mixup"] == 5.0
    assert plan["augmentation"]["crop"] == 1.0
    assert set(mixed) == {(2, 0)}  # features, and not in the last of two epochs


def test_a_probe_without_epochs_tells_that_nothing_is_augmented(tmp_path, capsys):
    words = ["--transfer.strategy", "linear_probe", "--augmentation.rotation", "10"]
    assert main([*RUN, *words, "--run", str(tmp_path / "run")]) == 0
    out = capsys.readouterr().out
    assert out.count("warning: --augmentation changes nothing: the head of linear_probe") == 1


def test_mixing_that_never_happens_is_told(capsys):
    strategy, phases = find_strategy("from_scratch"), FreezePlan((Phase(2, ()),))
    for off, told in ((1, False), (2, True)):
        asked = AugmentationSettings(cutmix=1.0, mixing_off_epochs=off)
        assert augmentation_for(strategy, phases, asked).cutmix == 1.0
        warning = "warning: nothing is mixed: of 2 epochs the last 2"
        assert (warning in capsys.readouterr().out) == told
