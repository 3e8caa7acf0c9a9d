"""Layer groups of many families."""

import pytest
import torch
from families import FAMILIES, small_backbone
from torch import nn

from catsdogs.models.layergroups import layer_groups, trainable_parameters


@pytest.fixture(scope="module", params=FAMILIES)
def backbone(request):
    return small_backbone(request.param)


def test_every_parameter_is_in_exactly_one_group(backbone):
    groups = layer_groups(backbone)
    held = [name for group in groups for name in group.parameters]
    assert sorted(held) == sorted(name for name, _ in backbone.named_parameters())
    assert len(groups) > 3
    assert len({group.name for group in groups}) == len(groups)


def test_groups_run_from_the_input_to_the_top(backbone):
    """What is computed before the first parameter of a group has run belongs to the groups below."""
    groups = layer_groups(backbone)
    number = {name: place for place, group in enumerate(groups) for name in group.parameters}
    seen = []

    def note(name):
        return lambda *_: seen.append(number[name])

    for title, module in backbone.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear) and f"{title}.weight" in number:
            module.register_forward_pre_hook(note(f"{title}.weight"))
    with torch.no_grad():
        backbone.eval()(torch.zeros(1, 3, 64, 64))
    assert seen[0] == 0
    assert seen == sorted(seen)


def test_no_group_is_a_normalisation_layer_alone(backbone):
    sizes = {name: parameter.ndim for name, parameter in backbone.named_parameters()}
    assert all(any(sizes[name] > 1 for name in group.parameters) for group in layer_groups(backbone))


class TestTrainableParameters:
    def test_are_those_of_the_groups(self, backbone):
        groups = layer_groups(backbone)
        names = trainable_parameters(backbone, groups, training=[0, 2], norm_and_bias=False)
        assert names == {*groups[0].parameters, *groups[2].parameters}

    def test_norm_and_bias_leaves_the_matrices(self, backbone):
        groups = layer_groups(backbone)
        names = trainable_parameters(backbone, groups, training=range(len(groups)), norm_and_bias=True)
        named = dict(backbone.named_parameters())
        norms = (nn.LayerNorm, nn.modules.batchnorm._BatchNorm, nn.GroupNorm)
        scales = {
            f"{title}.weight"
            for title, module in backbone.named_modules()
            if isinstance(module, norms) and module.weight is not None
        }
        assert scales | {name for name in named if name.endswith(".bias")} <= names
        assert all(named[name].ndim <= 1 or name.endswith("bias") for name in names)
        assert 0 < sum(named[name].numel() for name in names) < sum(p.numel() for p in named.values()) / 10


def test_a_network_of_no_known_layout_is_one_group():
    network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))
    (group,) = layer_groups(network)
    assert group.parameters == ("0.weight", "0.bias", "1.weight", "1.bias")


def test_a_last_group_of_nothing_but_a_norm_joins_the_one_before():
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.block, self.norm = nn.Linear(2, 2), nn.Linear(2, 2), nn.LayerNorm(2)

        def group_matcher(self, coarse=False):
            return {"stem": r"^stem", "blocks": [(r"^block", (0,)), (r"^norm", (1,))]}

    assert [group.name for group in layer_groups(Network())] == ["stem", "block ... norm"]
