"""Stages of a backbone: pooled features on the way from the pixels to the top.

A stage is named by its number among timm's intermediates, counted from the input; ``top`` is what the
network's own classifier would see. Concatenated, several stages are one wider feature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from catsdogs.core.errors import ModelError
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.models.modelcard import TOP

_MOST = 6


@dataclass(frozen=True, slots=True)
class Stage:
    """One place where features can be taken.

    Attributes:
        name: ``1``, ``2`` ... or ``top``.
        stride: Pixels of the input to one position of the feature map; the whole input for ``top``.
        width: Features (channels).
    """

    name: str
    stride: int
    width: int

    def __str__(self) -> str:
        """Return how people are told of it."""
        return self.name if self.name == TOP else f"{self.name} (stride {self.stride})"


@torch.no_grad()
def find_stages(backbone: nn.Module, spec: PreprocessSpec, *, distinct: bool = True) -> tuple[Stage, ...]:
    """Return the stages from the input to ``top``, at most seven of them; those of a deep network are spread.

    A network without intermediates has only its top.

    Args:
        backbone: With its weights.
        spec: How it wants its pictures.
        distinct: Leave out one that says exactly what ``top`` says; with other weights it may not.
    """
    training = backbone.training
    backbone.eval()
    kind = next(backbone.parameters())
    noise = torch.randn(2, 3, spec.height_px, spec.width_px, generator=torch.Generator().manual_seed(0))
    planes = noise.to(kind.device, kind.dtype)
    top = backbone(planes)
    maps = backbone.forward_intermediates(planes)[1] if hasattr(backbone, "forward_intermediates") else []  # type: ignore[operator]
    backbone.train(training)
    chosen = np.unique(np.linspace(0, len(maps) - 1, min(_MOST, len(maps))).round().astype(int))
    found = [
        Stage(str(place + 1), round(spec.height_px / maps[place].shape[2]), maps[place].shape[1])
        for place in chosen
        if not (distinct and _same(pool(maps[place]), top))
    ]
    return (*found, Stage(TOP, spec.height_px, top.shape[1]))


def stage_features(backbone: nn.Module, planes: Tensor, names: Sequence[str]) -> Tensor:
    """Turn normalised planes (B, 3, H, W) into the float32 features (B, sum of widths) of these stages.

    They are in the order of the names, which must run from the input to the top. The layers above the last
    one are not run.
    """
    if tuple(names) == (TOP,):
        top: Tensor = backbone(planes)
        return top.float()
    indices = [int(name) - 1 for name in names if name != TOP]
    if TOP in names:
        final, maps = backbone.forward_intermediates(planes, indices=indices)  # type: ignore[operator]
        parts = [*map(pool, maps), backbone.forward_head(final).float()]  # type: ignore[operator]
    else:
        maps = backbone.forward_intermediates(  # type: ignore[operator]
            planes, indices=indices, stop_early=True, intermediates_only=True
        )
        parts = list(map(pool, maps))
    return torch.cat(parts, dim=1)


def map_places(backbone: nn.Module, *, from_stride: int = 8) -> dict[int, tuple[str, int]]:
    """Return stride -> (name of the module, channels) of the last maps (B, C, H, W) at each stride.

    It is what timm tells of the network; one of tokens, or of which timm tells nothing, has none.
    """
    told = getattr(backbone, "feature_info", None) or []
    found: dict[int, tuple[str, int]] = {}
    for place in told:
        if place.get("module") and place["reduction"] >= from_stride:
            found[int(place["reduction"])] = (str(place["module"]), int(place["num_chs"]))
    # Every stage of a transformer has the stride of its patches: no pyramid, and no maps.
    return found if len(found) > 1 else {}


def drop_unused_layers(backbone: nn.Module, names: Sequence[str]) -> None:
    """Remove the layers above the last of these stages, where timm knows how; ``top`` needs them all."""
    if TOP in names or not hasattr(backbone, "prune_intermediate_layers"):
        return
    indices = [int(name) - 1 for name in names]
    backbone.prune_intermediate_layers(indices, prune_norm=True, prune_head=True)  # type: ignore[operator]


def check_stages(names: Sequence[str], known: Sequence[Stage]) -> tuple[str, ...]:
    """Return the names in the order of the network.

    Raises:
        ModelError: There are none, or one is not a stage of this backbone.
    """
    order = [stage.name for stage in known]
    strange = [name for name in names if name not in order]
    if strange or not names:
        raise ModelError(f"stage {', '.join(strange) or 'none'} is not one of {', '.join(order)}")
    return tuple(name for name in order if name in names)


def pool(maps: Tensor) -> Tensor:
    """Average feature maps (B, C, H, W) over their positions, in float32: (B, C)."""
    return maps.mean((2, 3), dtype=torch.float32)


def _same(features: Tensor, top: Tensor) -> bool:
    return features.shape == top.shape and torch.allclose(features, top.float(), rtol=1e-3, atol=1e-4)
