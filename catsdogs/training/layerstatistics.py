"""What layers do in a training step: units that never fire or are stuck, gradients, sizes of the updates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.layergroups import LayerGroup

HEAD = "head"
# By the names of torch's classes, which timm's own copies share. Below the lower limit no gradient passes;
# within a hundredth of the range from a limit hardly any does.
_DEAD = frozenset({"ReLU", "ReLU6"})
_LIMITS: dict[str, tuple[float | None, float | None]] = {
    "ReLU6": (None, 6.0),
    "Sigmoid": (0.0, 1.0),
    "Tanh": (-1.0, 1.0),
}
_NEAR = 0.01


@dataclass(frozen=True, slots=True)
class Units:
    """The units of one activation layer over the batches that were looked at.

    Attributes:
        layer: Its name in the classifier.
        group: The layer group that it belongs to.
        count: Units: channels of a convolution, columns of a matrix.
        outputs: Of each unit, over pictures and places.
        dead: How many never gave more than zero; None where the layer has no flat side.
        saturated: How many were at a limit in nearly all pictures; None where it has no limits.
    """

    layer: str
    group: str
    count: int
    outputs: int
    dead: int | None
    saturated: int | None


class FiringCounter:
    """Looks at the output of every ReLU, ReLU6, sigmoid and tanh while it is attached.

    Args:
        classifier: Whose layers.
        groups: Its layer groups.
    """

    # Of its outputs; a unit that leaves the limit once in a while still learns.
    _STUCK = 0.95

    def __init__(self, classifier: ImageClassifier, groups: Sequence[LayerGroup]) -> None:
        self._layers = dict(_activations(classifier, groups))
        self._highest: dict[tuple[str, int], Tensor] = {}
        self._at_limit: dict[tuple[str, int], Tensor] = {}
        self._outputs: dict[tuple[str, int], int] = {}
        self._handles: list[RemovableHandle] = []

    def attach(self) -> None:
        """Look at what passes from now on."""
        self._handles = [
            module.register_forward_hook(self._look(name, type(module).__name__))
            for name, (module, _) in self._layers.items()
        ]

    def detach(self) -> None:
        """Look no more; the network is as it was."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def take(self) -> list[Units]:
        """Return what was seen since the last time, and forget it."""
        found = []
        for (name, count), outputs in self._outputs.items():
            highest, at_limit = self._highest.get((name, count)), self._at_limit.get((name, count))
            dead = None if highest is None else int((highest <= 0).sum())
            stuck = None if at_limit is None else int((at_limit / outputs > self._STUCK).sum())
            found.append(Units(name, self._layers[name][1], count, outputs, dead, stuck))
        self._highest, self._at_limit, self._outputs = {}, {}, {}
        return found

    def _look(self, name: str, kind: str) -> Any:
        def look(_: nn.Module, __: Any, output: Tensor) -> None:
            values = output.detach()
            axis = 1 if values.ndim == 4 else values.ndim - 1
            others = tuple(other for other in range(values.ndim) if other != axis)
            key = (name, values.shape[axis])
            self._outputs[key] = self._outputs.get(key, 0) + values.numel() // key[1]
            if kind in _DEAD:
                highest = values.amax(others)
                self._highest[key] = torch.maximum(self._highest.get(key, highest), highest)
            if kind in _LIMITS:
                near = _near(values, *_LIMITS[kind]).sum(others)
                self._at_limit[key] = self._at_limit.get(key, torch.zeros_like(near)) + near

        return look


def _near(values: Tensor, low: float | None, high: float | None) -> Tensor:
    margin = _NEAR * ((high or 0.0) - (low or 0.0))
    near = torch.zeros_like(values, dtype=torch.bool)
    if low is not None:
        near |= values <= low + margin
    if high is not None:
        near |= values >= high - margin
    return near


def _activations(
    classifier: ImageClassifier, groups: Sequence[LayerGroup]
) -> Iterator[tuple[str, tuple[nn.Module, str]]]:
    """Yield the layers to look at; one without parameters belongs to the group of the layer before it."""
    owner = {f"backbone.{name}": group.name for group in groups for name in group.parameters}
    current = groups[0].name if groups else HEAD
    for name, module in classifier.named_modules():
        own = [f"{name}.{own}" for own, _ in module.named_parameters(recurse=False)]
        if own:
            current = owner.get(own[0], HEAD)
        if type(module).__name__ in _DEAD or type(module).__name__ in _LIMITS:
            yield name, (module, current)


def training_tensors(
    classifier: ImageClassifier, groups: Sequence[LayerGroup]
) -> dict[str, list[nn.Parameter]]:
    """Return the parameters that train at the moment, by layer group and in their order, the head last."""
    named = dict(classifier.backbone.named_parameters())
    found = {group.name: [named[name] for name in group.parameters] for group in groups}
    found[HEAD] = list(classifier.head.parameters())
    training = {
        name: [parameter for parameter in parameters if parameter.requires_grad]
        for name, parameters in found.items()
    }
    return {name: parameters for name, parameters in training.items() if parameters}


def gradient_norms(tensors: Mapping[str, Sequence[nn.Parameter]]) -> dict[str, Tensor]:
    """Return the length () of the gradient of each group; 0 where there is none."""
    return {
        name: _length([p.grad for p in parameters if p.grad is not None])
        for name, parameters in tensors.items()
    }


def snapshot(tensors: Mapping[str, Sequence[nn.Parameter]]) -> dict[str, list[Tensor]]:
    """Return copies of each group's matrices and kernels, to be compared after the step."""
    return {name: [p.detach().clone() for p in _matrices(group)] for name, group in tensors.items()}


def update_ratios(
    before: Mapping[str, Sequence[Tensor]], tensors: Mapping[str, Sequence[nn.Parameter]]
) -> dict[str, Tensor]:
    """Return the length () of each group's step, divided by that of its weights.

    Vectors are left out: a bias or a fresh scale starts at zero, and anything is large beside that.
    """
    ratios = {}
    for name, old in before.items():
        if old:
            moved = torch._foreach_sub([p.detach() for p in _matrices(tensors[name])], list(old))
            ratios[name] = _length(moved) / _length(old).clamp_min(torch.finfo(torch.float32).tiny)
    return ratios


def _matrices(parameters: Sequence[nn.Parameter]) -> list[nn.Parameter]:
    return [parameter for parameter in parameters if parameter.ndim > 1]


def _length(tensors: Sequence[Tensor]) -> Tensor:
    if not tensors:
        return torch.zeros(())
    length: Tensor = torch.stack(torch._foreach_norm(list(tensors))).norm()
    return length
