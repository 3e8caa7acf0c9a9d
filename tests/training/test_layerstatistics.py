"""Broken layers are found in the figures, and ordinary ones are not accused."""

import copy

import pytest
import torch
from proving import make_classifier, pictures
from torch import nn

from catsdogs.models.layergroups import layer_groups
from catsdogs.training.layerstatistics import (
    HEAD,
    FiringCounter,
    gradient_norms,
    snapshot,
    training_tensors,
    update_ratios,
)
from catsdogs.training.layerwords import group_words, unit_words


def look(classifier, *batches):
    groups = layer_groups(classifier.backbone)
    counter = FiringCounter(classifier, groups)
    counter.attach()
    for pixels in batches or (pictures(classifier)[0],):
        classifier(pixels)
    counter.detach()
    units = counter.take()
    return units, [key for key, _ in unit_words(units, frozenset(group.name for group in groups) | {HEAD})]


def test_an_ordinary_network_has_nothing_to_say():
    units, words = look(make_classifier("resnet"))
    assert {layer.group for layer in units} == {
        group.name for group in layer_groups(make_classifier("resnet").backbone)
    }
    assert words == []


def test_units_that_never_fire_are_counted_and_named():
    classifier = make_classifier("resnet", dropout=0.0).eval()
    with torch.no_grad():
        classifier.backbone.layer2[0].bn1.bias.fill_(-100)
    units, words = look(classifier)
    (layer,) = [layer for layer in units if layer.layer == "backbone.layer2.0.act1"]
    assert (layer.group, layer.dead) == ("layer2.0", layer.count)
    assert words == ["dead backbone.layer2.0.act1"]


def test_a_unit_that_fires_once_in_several_batches_is_alive():
    classifier = make_classifier("resnet", dropout=0.0).eval()
    pixels, _ = pictures(classifier)
    black = torch.zeros_like(pixels)
    alone = sum(layer.dead for layer in look(classifier, black)[0])
    both = sum(layer.dead for layer in look(classifier, black, pixels)[0])
    assert both < alone


@pytest.mark.parametrize(
    ("activation", "bias"), [(nn.Sigmoid(), 20.0), (nn.Tanh(), -20.0), (nn.ReLU6(), 100.0)]
)
def test_saturated_units_are_named(activation, bias):
    classifier = make_classifier("resnet", dropout=0.0)
    width = classifier.head.fc.in_features
    hidden = nn.Linear(width, 16)
    classifier.head = nn.Sequential(hidden, activation, nn.Linear(16, 2))
    assert look(classifier)[1] == []
    with torch.no_grad():
        hidden.bias.fill_(bias)
    pixels, _ = pictures(classifier)
    units, words = look(classifier, pixels, pixels, pixels)
    assert words == ["saturated head.1"]
    assert units[-1].saturated == 16
    assert units[-1].group == HEAD


def test_a_handful_of_outputs_says_nothing():
    classifier = make_classifier("resnet", dropout=0.0).eval()
    with torch.no_grad():
        classifier.backbone.layer4[0].bn1.bias.fill_(-100)
    assert look(classifier, pictures(classifier)[0][:8])[1] == []


def test_layers_that_do_not_train_are_not_named():
    classifier = make_classifier("resnet", dropout=0.0).eval()
    with torch.no_grad():
        classifier.backbone.layer1[0].bn1.bias.fill_(-100)
    units, _ = look(classifier)
    assert list(unit_words(units, frozenset({HEAD}))) == []


def test_detached_it_sees_nothing_and_leaves_nothing():
    classifier = make_classifier("resnet")
    look(classifier)
    assert not any(module._forward_hooks for module in classifier.modules())


def test_norms_and_ratios_equal_those_computed_by_hand():
    classifier = make_classifier("convnext", dropout=0.0)
    groups = layer_groups(classifier.backbone)
    pixels, labels = pictures(classifier)
    nn.functional.cross_entropy(classifier(pixels[:4]), torch.tensor(labels[:4])).backward()
    tensors = training_tensors(classifier, groups)
    norms = gradient_norms(tensors)
    named = dict(classifier.backbone.named_parameters())
    gradient = torch.cat([named[name].grad.flatten() for name in groups[1].parameters])
    torch.testing.assert_close(norms[groups[1].name], gradient.norm())
    before, old = snapshot(tensors), copy.deepcopy(classifier)
    torch.optim.SGD(classifier.parameters(), lr=0.1).step()
    ratio = update_ratios(before, tensors)[HEAD]
    moved = (classifier.head.fc.weight - old.head.fc.weight).norm() / old.head.fc.weight.norm()
    torch.testing.assert_close(ratio, moved.detach())
    torch.testing.assert_close(
        moved.detach(), 0.1 * old_gradient(classifier) / old.head.fc.weight.norm().detach()
    )


def old_gradient(classifier):
    return classifier.head.fc.weight.grad.norm()


@pytest.mark.parametrize(
    ("gradients", "updates", "expected"),
    [
        ({"a": 1.0, "b": 0.01}, {"a": 1e-3, "b": 0.1}, []),
        ({"a": 1.0, "b": 0.0}, {}, ["gradient b"]),
        ({"a": 1.0, "b": 1e-9}, {}, ["gradient b"]),
        ({"a": float("inf"), "b": 1.0}, {"a": 0.0}, []),
        ({}, {"a": 0.8, "b": 1e-9}, ["update a", "update b"]),
    ],
)
def test_words_about_groups(gradients, updates, expected):
    assert [key for key, _ in group_words(gradients, updates)] == expected
