"""``catsdogs_cnn``: a small network to read and to train from random numbers, the baseline of transfer.

    picture -> stem: convolution of stride 2
            -> four stages, twice the channels and half the side each: blocks of two 3x3 convolutions
            -> the mean over all positions -> features

It has the interface of timm's own networks; ``models.registry`` registers it there.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from catsdogs.core.errors import ModelError
from catsdogs.models.activations import build_activation, width_before
from catsdogs.models.initialization import initialize
from catsdogs.models.networkspec import CNN, STAGES, NetworkSpec


class CatsdogsCNN(nn.Module):
    """Float (B, 3, H, W) to features (B, 8 width), or to logits where there are classes.

    Args:
        num_classes: Of a classifier on top; 0 leaves it out.
        in_chans: Channels of a picture.
        drop_path_rate: Share of residual branches that training drops at the top; fewer below, in proportion
            to the depth (Huang et al. 2016, Deep Networks with Stochastic Depth, section 3).
        options: Of a ``NetworkSpec``.

    Raises:
        ModelError: The options cannot be built.
    """

    output_fmt = "NCHW"

    def __init__(
        self, num_classes: int = 1000, in_chans: int = 3, drop_path_rate: float = 0.0, **options: Any
    ) -> None:
        super().__init__()
        self.spec = spec = NetworkSpec.from_dict(options)
        if drop_path_rate and not spec.residual:
            raise ModelError(f"{CNN} without residual connections has no stochastic depth; leave it at 0")
        count = STAGES * spec.depth
        rates = [drop_path_rate * (number + 1) / count for number in range(count)]
        self.stem = _stem(in_chans, spec)
        self.stages = nn.Sequential()
        inputs = spec.width
        for number, width in enumerate(spec.widths):
            of_stage = rates[number * spec.depth : (number + 1) * spec.depth]
            self.stages.append(_stage(inputs, width, spec, of_stage, halves=number > 0))
            inputs = width
        self.num_features = self.head_hidden_size = inputs
        names = ("stem", *(f"stages.{number}" for number in range(STAGES)))
        self.feature_info = [
            {"num_chs": channels, "reduction": 2 ** max(1, place), "module": name}
            for place, (channels, name) in enumerate(zip((spec.width, *spec.widths), names, strict=True))
        ]
        initialize(self, "auto", spec.activation)
        self.reset_classifier(num_classes)

    def get_classifier(self) -> nn.Module:
        """Return the layer from features to logits."""
        return self.fc

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:  # noqa: ARG002
        """Put a fresh classifier on top, small enough that the first loss is near ln(classes); 0 for none."""
        self.num_classes = num_classes
        self.fc: nn.Module = nn.Identity()
        if num_classes:
            self.fc = nn.Linear(self.num_features, num_classes)
            nn.init.normal_(self.fc.weight, std=0.01)
            nn.init.zeros_(self.fc.bias)

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:
        """Return how timm groups the parameters: by stage, or finer by block."""
        return {"stem": r"^stem", "blocks": r"^stages\.(\d+)" if coarse else r"^stages\.(\d+)\.(\d+)"}

    def forward_features(self, x: Tensor) -> Tensor:
        """Turn pictures (B, 3, H, W) into the last stage's maps (B, D, H / 16, W / 16)."""
        maps: Tensor = self.stages(self.stem(x))
        return maps

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Average maps over their positions, and classify them where there is a classifier."""
        features = x.mean((2, 3))
        return features if pre_logits else self.fc(features)

    def forward(self, x: Tensor) -> Tensor:
        """Turn pictures (B, 3, H, W) into features (B, D) or logits."""
        return self.forward_head(self.forward_features(x))

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | Sequence[int] | None = None,
        norm: bool = False,  # noqa: ARG002
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> Any:
        """Return the last maps and those of the stem and the stages that ``indices`` names, as timm does.

        Args:
            x: Pictures (B, 3, H, W).
            indices: Places among stem and stages, or how many of the last; by default all.
            norm: Without effect: there is no last normalisation.
            stop_early: Leave out the stages above the last that is wanted.
            output_fmt: ``NCHW``.
            intermediates_only: Return the list alone.
        """
        if output_fmt != "NCHW":
            raise ValueError(f"{CNN} has maps of NCHW, not {output_fmt}")
        wanted = _places(indices)
        layers = [self.stem, *self.stages]
        maps = []
        for place, layer in enumerate(layers[: max(wanted) + 1] if stop_early else layers):
            x = layer(x)
            if place in wanted:
                maps.append(x)
        return maps if intermediates_only else (x, maps)

    def prune_intermediate_layers(
        self,
        indices: int | Sequence[int] = 1,
        prune_norm: bool = False,  # noqa: ARG002
        prune_head: bool = True,
    ) -> list[int]:
        """Remove the stages above the last that is wanted; return the places that are kept, as timm does."""
        wanted = _places(indices)
        self.stages = self.stages[: max(wanted)]
        if prune_head:
            self.reset_classifier(0)
        return wanted


class Block(nn.Module):
    """Two 3x3 convolutions, to whose output the input is added where the network is residual.

    A residual branch counts 1 / sqrt(blocks of the network), so that the sum of all branches stays as large
    as the picture's own signal, with and without BatchNorm (Hayou et al. 2021, Stable ResNet, section 2).
    Dropout stands between the convolutions (Zagoruyko and Komodakis 2016, section 2.4) and drops whole maps
    (Tompson et al. 2015). Of a maxout, the input is added to every piece.
    """

    def __init__(self, inputs: int, width: int, spec: NetworkSpec, drop_path: float) -> None:
        super().__init__()
        before = width_before(spec.activation, width)
        self.conv1 = _convolution(inputs, before, spec, 3)
        self.act1 = build_activation(spec.activation)
        self.dropout = nn.Dropout2d(spec.dropout)
        self.conv2 = _convolution(width, before, spec, 3)
        self.residual = spec.residual
        if spec.residual:
            self.drop_path = StochasticDepth(drop_path, "row")
            self.shortcut = _convolution(inputs, width, spec, 1) if inputs != width else nn.Identity()
            self.branch_scale = (STAGES * spec.depth) ** -0.5
            self.pieces = spec.pieces
        self.act2 = build_activation(spec.activation)

    def forward(self, x: Tensor) -> Tensor:
        """Turn maps (B, inputs, H, W) into maps (B, width, H, W)."""
        maps = self.conv2(self.dropout(self.act1(self.conv1(x))))
        if self.residual:
            shortcut = torch.cat([self.shortcut(x)] * self.pieces, dim=1)
            maps = shortcut + self.branch_scale * self.drop_path(maps)
        activated: Tensor = self.act2(maps)
        return activated


def _stem(channels: int, spec: NetworkSpec) -> nn.Sequential:
    before = width_before(spec.activation, spec.width)
    return nn.Sequential(_convolution(channels, before, spec, 3, stride=2), build_activation(spec.activation))


def _stage(
    inputs: int, width: int, spec: NetworkSpec, drop_paths: Sequence[float], *, halves: bool
) -> nn.Module:
    """Return blocks, whose maps have half the side of the input's where a pooling layer comes first."""
    pool = nn.MaxPool2d(2) if halves else nn.Identity()
    first, *others = drop_paths
    blocks = [Block(inputs, width, spec, first), *(Block(width, width, spec, rate) for rate in others)]
    return nn.Sequential(pool, *blocks)


def _convolution(
    inputs: int, outputs: int, spec: NetworkSpec, kernel: int, *, stride: int = 1
) -> nn.Sequential:
    """Return a convolution that keeps the maps' side, and BatchNorm or else biases."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv=nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=not spec.batch_norm)
    )
    if spec.batch_norm:
        layers["norm"] = nn.BatchNorm2d(outputs)
    return nn.Sequential(layers)


def _places(indices: int | Sequence[int] | None) -> list[int]:
    """Return which of stem and stages are meant, from the input to the top.

    Raises:
        IndexError: There is no such place.
    """
    places = list(range(STAGES + 1))
    if indices is None:
        return places
    return places[-indices:] if isinstance(indices, int) else sorted(places[index] for index in indices)
