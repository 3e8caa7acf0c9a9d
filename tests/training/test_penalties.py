"""Penalties: gradients by their formula, and where they pull."""

import pytest
import torch
from small import make_head
from torch import nn

from catsdogs.core.errors import ConfigError
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HeadSpec
from catsdogs.models.layergroups import LayerGroup
from catsdogs.training.optimizers import HEAD, parameter_groups
from catsdogs.training.penalties import Penalty
from catsdogs.training.recipe import Loss, Recipe, Solver
from catsdogs.transfer.strategies import FreezePlan, Phase


def make_classifier():
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3))
    return ImageClassifier(backbone, build_head(4, 2, HeadSpec()), PreprocessSpec(8, 8))


def gradients(classifier, penalty):
    classifier.zero_grad()
    penalty().backward()
    return {name: parameter.grad for name, parameter in classifier.named_parameters()}


def test_the_gradient_is_the_formulas_on_weights_and_nothing_on_norms_and_biases():
    classifier = make_classifier()
    found = gradients(classifier, Penalty(classifier, Loss(l1=0.3, l2=0.2)))
    for name, parameter in classifier.named_parameters():
        if parameter.ndim > 1:
            torch.testing.assert_close(found[name], 0.3 * parameter.sign() + 0.2 * parameter)
        else:
            assert found[name] is None, name


def test_l2_sp_pulls_the_backbone_to_where_it_began_and_leaves_the_head_alone():
    classifier = make_classifier()
    penalty = Penalty(classifier, Loss(l2_sp=0.5))
    assert float(penalty().detach()) == 0
    start = {name: value.clone() for name, value in classifier.state_dict().items()}
    with torch.no_grad():
        for parameter in classifier.parameters():
            parameter += 1
    found = gradients(classifier, penalty)
    for name, parameter in classifier.named_parameters():
        if name.startswith("backbone") and parameter.ndim > 1:
            torch.testing.assert_close(found[name], torch.full_like(parameter, 0.5))
        else:
            assert found[name] is None, name
    optimizer = torch.optim.SGD(classifier.parameters(), lr=1.0)
    for _ in range(40):
        optimizer.zero_grad()
        penalty().backward()
        optimizer.step()
    torch.testing.assert_close(classifier.backbone[0].weight.detach(), start["backbone.0.weight"])


def test_what_is_frozen_has_no_part_in_it():
    classifier = make_classifier()
    penalty = Penalty(classifier, Loss(l2=1.0, l2_sp=1.0))
    classifier.set_trainable({"2.weight"})
    expected = (classifier.backbone[2].weight.square().sum() + classifier.head.fc.weight.square().sum()) / 2
    torch.testing.assert_close(penalty(), expected)


def test_no_penalty_costs_nothing_and_none_is_in_the_checkpoint():
    classifier = make_head()
    assert Penalty(classifier, Loss())() == 0.0
    assert not Penalty(make_classifier(), Loss(l2_sp=1.0)).state_dict()


def test_the_backbone_has_one_place_to_be_pulled_to():
    """Li et al. 2018, equation 3: towards the start below, towards zero in the head."""
    classifier = make_classifier()
    groups = [LayerGroup("all", tuple(name for name, _ in classifier.backbone.named_parameters()))]
    recipe = Recipe(1, 1e-3, 1.0, 1.0, 8, 0, 0, Solver(weight_decay=0.1), loss=Loss(l2_sp=0.5))
    made = parameter_groups(classifier, groups, FreezePlan((Phase(1, (0,)),)), recipe)
    decays = {(group["layer_group"], group["params"][0].ndim > 1): group["weight_decay"] for group in made}
    assert decays == {(0, True): 0, (0, False): 0, (HEAD, True): 0.1, (HEAD, False): 0}


@pytest.mark.parametrize("name", ["l1", "l2", "l2_sp"])
def test_a_negative_one_is_refused(name):
    with pytest.raises(ConfigError, match=f"--loss.{name} must be 0 or more, not -1"):
        Loss(**{name: -1.0})
