"""Activations by name, and maxout, which is a layer of its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import torch
from torch import Tensor, nn

from catsdogs.core.errors import ModelError
from catsdogs.models.networkspec import ACTIVATIONS, PIECES


class Maxout(nn.Module):
    """The largest of ``pieces`` numbers, each the output of a linear layer: (B, k C, ...) to (B, C, ...).

    The layer before it has k times the channels, piece after piece: the first C are the first piece.

    Source: Goodfellow et al. 2013, Maxout Networks.
    """

    def __init__(self, pieces: int = PIECES) -> None:
        super().__init__()
        self.pieces = pieces

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the largest piece of each unit."""
        return reduce(torch.maximum, inputs.chunk(self.pieces, dim=1))

    def extra_repr(self) -> str:
        """Say how many pieces there are."""
        return f"pieces={self.pieces}"


_LAYERS: dict[str, Callable[[], nn.Module]] = {
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "maxout": Maxout,
}


def build_activation(name: str) -> nn.Module:
    """Return the activation of a name.

    Raises:
        ModelError: There is none of this name.
    """
    if name not in ACTIVATIONS:
        raise ModelError(f"activation {name!r} is not one of {', '.join(ACTIVATIONS)}")
    return _LAYERS[name]()


def width_before(name: str, width: int) -> int:
    """Return how many channels a layer needs so that ``width`` are left after the activation."""
    return PIECES * width if name == "maxout" else width
