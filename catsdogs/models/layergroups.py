"""Layer groups: timm's own, and which parameters of a backbone train when some of them are frozen."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import takewhile

from torch import nn

from catsdogs.models.backbones import grouped_parameters


@dataclass(frozen=True, slots=True)
class LayerGroup:
    """Layers that freeze and train together.

    Attributes:
        name: What its parameters' names begin with.
        parameters: Their names within the backbone.
    """

    name: str
    parameters: tuple[str, ...]


def layer_groups(backbone: nn.Module) -> tuple[LayerGroup, ...]:
    """Return the groups from the input to the top; every parameter is in exactly one.

    A group of nothing but vectors (a normalisation layer) belongs to the group before it.
    """
    groups = grouped_parameters(backbone)
    sizes = {name: parameter.ndim for name, parameter in backbone.named_parameters()}
    merged: list[list[str]] = []
    for names in groups:
        if merged and all(sizes[name] <= 1 for name in names):
            merged[-1] += names
        else:
            merged.append(list(names))
    titles = [_title(names) for names in merged]
    return tuple(
        LayerGroup(title if titles.count(title) == 1 else f"{title} #{number}", tuple(names))
        for number, (title, names) in enumerate(zip(titles, merged, strict=True))
    )


def trainable_parameters(
    backbone: nn.Module, groups: Sequence[LayerGroup], *, training: Collection[int], norm_and_bias: bool
) -> frozenset[str]:
    """Return the names of the backbone's parameters that train.

    Args:
        backbone: Whose groups they are.
        groups: Of ``layer_groups``.
        training: Numbers of the groups that train.
        norm_and_bias: Of these, only the scales and shifts of normalisation layers and the biases
            (BitFit: Ben Zaken et al. 2022; BatchNorm only: Frankle et al. 2021).
    """
    names = [name for number in sorted(training) for name in groups[number].parameters]
    if norm_and_bias:
        norms = {name for name, module in backbone.named_modules() if "Norm" in type(module).__name__}
        names = [name for name in names if name.endswith("bias") or name.rpartition(".")[0] in norms]
    return frozenset(names)


def _title(names: Sequence[str]) -> str:
    """Return what all names begin with, or the beginnings of the first and the last."""
    levels = zip(*(name.split(".") for name in names), strict=False)
    common = [parts[0] for parts in takewhile(lambda parts: len(set(parts)) == 1, levels)]
    if common:
        return ".".join(common[:2])
    tops = list(dict.fromkeys(_top(name) for name in names))
    return tops[0] if len(tops) == 1 else f"{tops[0]} ... {tops[-1]}"


def _top(name: str) -> str:
    parts = name.split(".")
    return ".".join(parts[:2]) if len(parts) > 1 and parts[1].isdigit() else parts[0]
