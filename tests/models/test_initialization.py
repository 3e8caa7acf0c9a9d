"""Initialisations: what they do to a signal, against the formulas of the papers."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from catsdogs.core.errors import ModelError
from catsdogs.models.activations import build_activation, width_before
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HeadSpec
from catsdogs.models.initialization import INITIALIZATIONS, auto_scheme, gain, initialize
from catsdogs.models.networkspec import ACTIVATIONS

WIDTH, LAYERS = 256, 20


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def deep(activation, name):
    """The mean square before the activation of layer 20, where that of layer 1 should be 1."""
    layers = [nn.Linear(WIDTH, width_before(activation, WIDTH)) for _ in range(LAYERS)]
    act = build_activation(activation)
    signal = act(torch.randn(64, width_before(activation, WIDTH)))
    with torch.no_grad():
        for layer in layers:
            initialize(layer, name, activation)
            before = layer(signal)
            signal = act(before)
    return before.square().mean().item()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", ["auto", "orthogonal"])
def test_the_right_scale_keeps_the_signal_through_20_layers(activation, name):
    assert 0.5 < deep(activation, name) < 2


@pytest.mark.parametrize(
    ("activation", "name", "low", "high"),
    [
        ("relu", "he_normal", 0.5, 2),
        ("relu", "he_uniform", 0.5, 2),
        ("relu", "lecun_normal", 0, 1e-4),  # half the variance is lost in each layer: 2^-19
        ("relu", "xavier_normal", 0, 1e-4),
        ("relu", "xavier_uniform", 0, 1e-4),
        ("tanh", "lecun_normal", 0, 0.2),
        ("maxout", "he_normal", 1e4, math.inf),  # and twice as much comes: 2^19
        ("elu", "normal", 0, 1e-3),
        ("relu", "normal", 0, 1e-4),
        ("relu", "constant", 1e6, math.inf),
        ("maxout", "uniform", 0, 1e-4),
    ],
)
def test_the_wrong_scale_explodes_or_vanishes(activation, name, low, high):
    assert low <= deep(activation, name) <= high


@pytest.mark.parametrize("activation", [name for name in ACTIVATIONS if name != "maxout"])
def test_gains_are_hes_condition(activation):
    """gain² E[f(z)²] = 1 for a standard normal z, by quadrature."""
    points = torch.linspace(-12, 12, 240_001, dtype=torch.float64)
    density = torch.exp(-points.square() / 2) / math.sqrt(2 * math.pi)
    second = torch.trapezoid(build_activation(activation)(points).square() * density, points)
    assert gain(activation) ** 2 * second.item() == pytest.approx(1, rel=1e-3)


def test_the_gain_of_maxout_is_hes_condition():
    larger = np.random.default_rng(0).normal(size=(2, 1_000_000)).max(axis=0)
    assert gain("maxout") ** 2 * (larger**2).mean() == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("uniform", 0.05**2 / 3),
        ("normal", 0.05**2),
        ("lecun_normal", 1 / 300),
        ("xavier_uniform", 2 / 800),
        ("xavier_normal", 2 / 800),
        ("he_uniform", 2 / 300),
        ("he_normal", 2 / 300),
    ],
)
def test_variances_are_those_of_the_papers(name, variance):
    layer = nn.Linear(300, 500)
    initialize(layer, name)
    assert layer.weight.var().item() == pytest.approx(variance, rel=0.03)
    assert abs(layer.weight.mean().item()) < 0.003
    assert not layer.bias.any()
    bound = {"uniform": 0.05, "xavier_uniform": math.sqrt(6 / 800), "he_uniform": math.sqrt(6 / 300)}
    if name in bound:
        assert 0.99 * bound[name] < layer.weight.abs().max() <= bound[name]


def test_a_convolution_counts_its_kernel_as_inputs():
    layer = nn.Conv2d(20, 64, 3)
    initialize(layer, "he_normal")
    assert layer.weight.var().item() == pytest.approx(2 / 180, rel=0.05)


@pytest.mark.parametrize("layer", [nn.Linear(40, 24), nn.Conv2d(5, 24, 3)])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_orthogonal_matrices_are_times_the_gain(layer, activation):
    initialize(layer, "orthogonal", activation)
    rows = layer.weight.detach().flatten(1)
    torch.testing.assert_close(rows @ rows.T, gain(activation) ** 2 * torch.eye(24), atol=1e-5, rtol=0)


def test_each_piece_of_a_maxout_is_orthogonal():
    layer = nn.Linear(24, 48)
    initialize(layer, "orthogonal", "maxout")
    for piece in layer.weight.detach().chunk(2):
        torch.testing.assert_close(piece @ piece.T, torch.eye(24), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("activation", "scheme", "variance"),
    [
        ("relu", "he_normal", 2 / 300),
        ("leaky_relu", "he_normal", 2 / 300),
        ("elu", "he_normal", 1.2452**2 / 300),
        ("gelu", "he_normal", 1.5335**2 / 300),
        ("tanh", "xavier_normal", 1.5925**2 * 2 / 800),
        ("sigmoid", "xavier_normal", 1.8462**2 * 2 / 800),
        ("maxout", "lecun_normal", 1 / 300),
    ],
)
def test_auto_goes_by_the_activation(activation, scheme, variance):
    layer = nn.Linear(300, 500)
    initialize(layer, "auto", activation)
    assert auto_scheme(activation) == scheme
    assert layer.weight.var().item() == pytest.approx(variance, rel=0.03)


def test_normalisation_layers_are_left_as_they_are():
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.LayerNorm(4))
    with torch.no_grad():
        for layer in network[1:]:
            layer.weight.fill_(7)
            layer.bias.fill_(5)
    initialize(network, "zeros")
    assert not network[0].weight.any()
    for layer in network[1:]:
        assert layer.weight.eq(7).all()
        assert layer.bias.eq(5).all()


def trained(initialization, steps=5):
    """An MLP head after a few steps."""
    head = build_head(12, 2, HeadSpec("mlp", hidden=6, activation="tanh"), initialization)
    optimizer = torch.optim.SGD(head.parameters(), lr=0.5)
    features = torch.randn(32, 12)
    for _ in range(steps):
        loss = F.cross_entropy(head(features), (features[:, 0] > 0).long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return head


@pytest.mark.parametrize("name", ["zeros", "constant"])
def test_under_zeros_and_constant_hidden_units_never_differ(name):
    head = trained(name)
    for weights in (head.hidden.weight, head.fc.weight.T):
        torch.testing.assert_close(weights, weights[:1].expand_as(weights), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", sorted({*INITIALIZATIONS} - {"zeros", "constant"}))
def test_random_numbers_tell_hidden_units_apart(name):
    weights = trained(name).hidden.weight
    assert torch.pdist(weights).min() > 0.01


@pytest.mark.parametrize("kind", ["linear", "mlp"])
@pytest.mark.parametrize(
    ("name", "activation"),
    [("auto", name) for name in ACTIVATIONS] + [(name, "relu") for name in INITIALIZATIONS[1:]],
)
def test_the_first_loss_is_that_of_a_guess_whatever_the_hidden_layer(name, activation, kind):
    spec = HeadSpec(kind, hidden=64, activation=activation)
    with torch.no_grad():
        loss = F.cross_entropy(build_head(128, 5, spec, name)(torch.randn(200, 128)), torch.arange(200) % 5)
    assert loss.item() == pytest.approx(math.log(5), abs=0.15)


def test_an_unknown_name_is_refused():
    with pytest.raises(ModelError, match="'glorot' is not one of auto, zeros"):
        initialize(nn.Linear(2, 2), "glorot")
