"""Activations by name, against torch."""

import pytest
import torch
from torch.nn import functional as F

from catsdogs.core.errors import ModelError
from catsdogs.models.activations import Maxout, build_activation, width_before
from catsdogs.models.networkspec import ACTIVATIONS

REFERENCES = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "gelu": F.gelu,
}


@pytest.mark.parametrize("name", REFERENCES)
def test_each_is_torchs(name):
    values = torch.linspace(-4, 4, 81).reshape(9, 9)
    assert torch.equal(build_activation(name)(values), REFERENCES[name](values))
    assert width_before(name, 9) == 9


def test_every_name_can_be_built():
    assert set(ACTIVATIONS) == {*REFERENCES, "maxout"}


@pytest.mark.parametrize("shape", [(2, 6), (2, 6, 3, 3)])
@pytest.mark.parametrize("pieces", [2, 3])
def test_maxout_is_the_largest_piece_of_each_unit(shape, pieces):
    values = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    width = 6 // pieces
    by_hand = torch.stack([values[:, i * width : (i + 1) * width] for i in range(pieces)]).max(dim=0).values
    assert torch.equal(Maxout(pieces)(values), by_hand)


def test_maxout_of_one_layer_can_be_the_absolute_value():
    layer = torch.nn.Linear(3, width_before("maxout", 3), bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.cat([torch.eye(3), -torch.eye(3)]))
    values = torch.randn(5, 3)
    torch.testing.assert_close(build_activation("maxout")(layer(values)), values.abs())


def test_an_unknown_name_is_refused():
    with pytest.raises(ModelError, match="'swish' is not one of sigmoid, tanh, relu"):
        build_activation("swish")
