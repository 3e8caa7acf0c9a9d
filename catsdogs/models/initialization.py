"""Initialisation: the random numbers that a layer starts from.

Through a deep network a signal keeps its size only where each layer's weights have the right variance, which
depends on how many inputs the layer has and on what the activation does to them.

| name | weights of a layer with n inputs and m outputs | source |
|---|---|---|
| ``auto`` | by the activation: see ``auto_scheme`` | |
| ``zeros``, ``constant`` | 0, or 0.05: hidden units start equal, get equal gradients and never differ | |
| ``uniform``, ``normal`` | in ±0.05, or of standard deviation 0.05, for layers of any size | |
| ``lecun_normal`` | variance 1 / n | LeCun et al. 1998, Efficient BackProp, section 4.6 |
| ``xavier_uniform``, ``xavier_normal`` | variance 2 / (n + m) | Glorot and Bengio 2010, section 4.2.1 |
| ``he_uniform``, ``he_normal`` | variance 2 / n | He et al. 2015, section 2.2 |
| ``orthogonal`` | an orthogonal matrix times the activation's gain | Saxe et al. 2014, section 3 |
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import get_args

from torch import Tensor, nn

from catsdogs.core.errors import ModelError
from catsdogs.models.networkspec import PIECES, Initialization

INITIALIZATIONS: tuple[str, ...] = get_args(Initialization)
# Under these all units of a layer are the same, and stay so as long as the layers above treat them alike.
SYMMETRIC = frozenset({"zeros", "constant"})
_SCALE = 0.05
_LAYERS = (nn.Linear, nn.modules.conv._ConvNd)

# 1 / sqrt(E[f(z)²]) of a standard normal z: He's condition (2015, equation 7) for any activation, so that
# variance gain² / n brings the next layer's inputs to the variance of this one's. A maxout of two is 1.
_GAINS = {
    "sigmoid": 1.8462,
    "tanh": 1.5925,
    "relu": math.sqrt(2),
    "leaky_relu": math.sqrt(2 / (1 + 0.01**2)),
    "elu": 1.2452,
    "gelu": 1.5335,
    "maxout": 1.0,
}
_AUTO = {"sigmoid": "xavier_normal", "tanh": "xavier_normal", "maxout": "lecun_normal"}


def gain(activation: str) -> float:
    """Return by how much weights of variance 1 / n must be larger so that this activation keeps the signal.

    >>> round(gain("relu") ** 2, 3)
    2.0
    """
    return _GAINS[activation]


def auto_scheme(activation: str) -> str:
    """Return the initialisation that suits an activation; ``auto`` scales it to the activation's gain.

    He's for those like ReLU, Xavier's for tanh and sigmoid, LeCun's for maxout, whose largest of two
    numbers is as large as one.
    """
    return _AUTO.get(activation, "he_normal")


def initialize(network: nn.Module, name: str = "auto", activation: str = "relu") -> None:
    """Give every linear and convolutional layer new weights and zero biases; others are left as they are.

    Args:
        network: A layer or a network; never one with pretrained weights.
        name: Of ``INITIALIZATIONS``.
        activation: What follows its layers; ``auto`` and ``orthogonal`` ask.

    Raises:
        ModelError: There is no such initialisation.
    """
    if name not in INITIALIZATIONS:
        raise ModelError(f"initialization {name!r} is not one of {', '.join(INITIALIZATIONS)}")
    for layer in network.modules():
        if isinstance(layer, _LAYERS):
            _initialize_layer(layer, name, activation)


def _orthogonal(weight: Tensor, activation: str) -> None:
    """Make each linear piece of what the layer computes a (semi-)orthogonal matrix."""
    for piece in weight.chunk(PIECES if activation == "maxout" else 1):
        nn.init.orthogonal_(piece, gain(activation))


_SCHEMES: dict[str, Callable[[Tensor, str], object]] = {
    "zeros": lambda weight, _: nn.init.zeros_(weight),
    "constant": lambda weight, _: nn.init.constant_(weight, _SCALE),
    "uniform": lambda weight, _: nn.init.uniform_(weight, -_SCALE, _SCALE),
    "normal": lambda weight, _: nn.init.normal_(weight, std=_SCALE),
    "lecun_normal": lambda weight, _: nn.init.kaiming_normal_(weight, nonlinearity="linear"),
    "xavier_uniform": lambda weight, _: nn.init.xavier_uniform_(weight),
    "xavier_normal": lambda weight, _: nn.init.xavier_normal_(weight),
    "he_uniform": lambda weight, _: nn.init.kaiming_uniform_(weight, nonlinearity="relu"),
    "he_normal": lambda weight, _: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
    "orthogonal": _orthogonal,
}
# What each scheme's own formula holds already.
_OWN_GAIN = {"he_normal": math.sqrt(2)}


def _initialize_layer(layer: nn.Module, name: str, activation: str) -> None:
    weight, bias = layer.weight, layer.bias
    assert isinstance(weight, Tensor)
    scheme = auto_scheme(activation) if name == "auto" else name
    _SCHEMES[scheme](weight, activation)
    if name == "auto":
        weight.data *= gain(activation) / _OWN_GAIN.get(scheme, 1.0)
    if isinstance(bias, Tensor):
        nn.init.zeros_(bias)
