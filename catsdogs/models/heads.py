"""Heads: features (B, D) to logits (B, C)."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from catsdogs.models.activations import build_activation, width_before
from catsdogs.models.headspec import HeadSpec
from catsdogs.models.initialization import SYMMETRIC, initialize
from catsdogs.models.kernelhead import KernelLayer


def build_head(features: int, classes: int, spec: HeadSpec, initialization: str = "auto") -> nn.Sequential:
    """Return a head from ``features`` inputs to ``classes`` logits, freshly initialised.

    The last layer is always named ``fc``; an MLP's first is ``hidden`` and starts as ``initialization`` says.
    The last layer starts at zero mean and small scale, so that the first loss is near ln(classes) whatever
    the hidden layer does; only under ``zeros`` and ``constant`` it starts like the hidden layer, or its
    random numbers would tell units apart that were meant to be equal. The ``fc`` of an ``rbf`` head is a
    ``KernelLayer`` that a fitted SVM fills.
    """
    layers: list[tuple[str, nn.Module]] = [("dropout", nn.Dropout(spec.dropout))]
    width = features
    if spec.kind == "mlp":
        hidden = nn.Linear(features, width_before(spec.activation, spec.hidden))
        initialize(hidden, initialization, spec.activation)
        layers += [
            ("hidden", hidden),
            ("act", build_activation(spec.activation)),
            ("dropout2", nn.Dropout(spec.dropout)),
        ]
        width = spec.hidden
    layers.append(("fc", _last_layer(width, classes, spec, initialization)))
    return nn.Sequential(OrderedDict(layers))


def features_of(head: nn.Module) -> int:
    """Return how many features a head of ``build_head`` takes."""
    layers = dict(head.named_children())
    first = layers.get("hidden", layers["fc"])
    if isinstance(first, KernelLayer):
        return len(first.mean)
    assert isinstance(first, nn.Linear)
    return first.in_features


def _last_layer(width: int, classes: int, spec: HeadSpec, initialization: str) -> nn.Module:
    if spec.kind == "rbf":
        return KernelLayer(width, spec.vectors, classes)
    last = nn.Linear(width, classes)
    nn.init.normal_(last.weight, std=0.01)
    nn.init.zeros_(last.bias)
    if initialization in SYMMETRIC:
        initialize(last, initialization)
    return last
