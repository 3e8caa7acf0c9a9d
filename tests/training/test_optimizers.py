"""Parameter groups and schedules."""

import math

import pytest
from torch import nn

from catsdogs.models.heads import HeadSpec, build_head
from catsdogs.training.optimizers import parameter_groups, warmup_cosine


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.head = build_head(4, 2, HeadSpec())


def test_every_trainable_tensor_is_in_one_group_once():
    network = Network()
    network.backbone[0].weight.requires_grad_(False)
    groups = parameter_groups(network, weight_decay=0.1, learning_rate=1e-3, head_rate=1)
    held = [id(p) for group in groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in network.parameters() if p.requires_grad)


def test_norms_and_biases_do_not_decay_and_the_head_has_its_own_rate():
    network = Network()
    groups = parameter_groups(network, weight_decay=0.1, learning_rate=1e-3, head_rate=10)
    found = {id(p): (group["weight_decay"], group["lr"]) for group in groups for p in group["params"]}
    assert found[id(network.backbone[0].weight)] == (0.1, 1e-3)
    assert found[id(network.backbone[0].bias)] == (0, 1e-3)
    assert found[id(network.backbone[1].weight)] == (0, 1e-3)
    assert found[id(network.head.fc.weight)] == (0.1, pytest.approx(1e-2))
    assert found[id(network.head.fc.bias)] == (0, pytest.approx(1e-2))


def test_warmup_rises_to_one_and_the_cosine_falls_to_zero():
    factors = [warmup_cosine(step, total_steps=100, warmup_steps=10) for step in range(101)]
    assert factors[0] > 0
    assert factors[:11] == sorted(factors[:11])
    assert factors[10] == 1
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert factors[55] == pytest.approx(0.5 * (1 + math.cos(math.pi / 2)))
    assert factors[100] == pytest.approx(0)


@pytest.mark.parametrize("steps", [1, 2])
def test_the_shortest_runs_have_a_positive_first_rate(steps):
    assert warmup_cosine(0, total_steps=steps, warmup_steps=round(0.1 * steps)) > 0
