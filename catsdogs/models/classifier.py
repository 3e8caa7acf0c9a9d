"""ImageClassifier: pixels to logits, the one network that training, evaluation and prediction share."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor, nn

from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.models.modelcard import TOP
from catsdogs.models.stages import stage_features

# What layers call the statistics that they gather while training: BatchNorm, EvoNorm-B and their kin.
_STATISTICS = frozenset({"running_mean", "running_var"})


class ImageClassifier(nn.Module):
    """A backbone and a head, with the normalisation of the pictures inside.

    Input is uint8 (B, H, W, 3) in [0, 255], as the data layer makes it; output is logits (B, C), without
    temperature. A permuted NHWC batch already lies in memory as a channels-last NCHW one, so that format
    costs nothing.

    Attributes:
        stages: Where the head's features come from, by the names of ``models.stages``.
        input_size: Height and width in pixels of the pictures it was made for.
        frozen_statistics: Keep the means and variances that the backbone's layers (BatchNorm) have gathered
            as they are, and use them, in training too: scales and shifts still learn. Set it before
            ``train()``.
        feature_shift: Subtracted from every picture's features (D,), where something shifts all of them
            alike; see ``models.rounding``.
    """

    feature_shift: Tensor | None
    head: nn.Sequential
    input_dtype: torch.dtype | None = None
    scale: Tensor
    shift: Tensor

    def __init__(
        self, backbone: nn.Module, head: nn.Sequential, spec: PreprocessSpec, stages: Sequence[str] = (TOP,)
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.stages = tuple(stages)
        self.input_size = (spec.height_px, spec.width_px)
        self.frozen_statistics = False
        self._frozen: tuple[nn.Module, ...] = ()
        self._memory_format = torch.contiguous_format
        scale = 1 / (255 * torch.tensor(spec.std))
        shift = -torch.tensor(spec.mean) / torch.tensor(spec.std)
        # They follow from the preprocessing, which the model file holds already.
        self.register_buffer("scale", scale.view(1, 3, 1, 1), persistent=False)
        self.register_buffer("shift", shift.view(1, 3, 1, 1), persistent=False)
        self.register_buffer("feature_shift", None, persistent=False)

    def set_trainable(self, names: Collection[str]) -> None:
        """Let these parameters of the backbone train, and the head; freeze the others.

        Frozen means evaluation mode too: a module none of whose parameters train neither updates nor uses
        the statistics of a batch, and drops nothing. One without parameters (dropout, drop path) goes with
        the layer before it. Call ``train()`` afterwards: it sets the modes.
        """
        for name, parameter in self.backbone.named_parameters():
            parameter.requires_grad_(name in names)
        self._frozen = tuple(_frozen_modules(self.backbone))

    def train(self, mode: bool = True) -> ImageClassifier:
        """Set the mode of every module, but leave what is frozen in evaluation mode."""
        super().train(mode)
        for module in self._frozen:
            module.training = False
        if self.frozen_statistics:
            for module in self.backbone.modules():
                if _STATISTICS & {name for name, _ in module.named_buffers(recurse=False)}:
                    module.training = False
        return self

    def set_channels_last(self, channels_last: bool) -> None:
        """Lay weights and pictures out in memory pixel by pixel, or plane by plane; results stay the same."""
        self._memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.to(memory_format=self._memory_format)

    def normalize(self, pixels: Tensor) -> Tensor:
        """Turn uint8 (B, H, W, 3) into normalised float (B, 3, H, W).

        Rounded to ``input_dtype``, where one is set, only afterwards: rounded mean and std would shift every
        picture alike.
        """
        planes = pixels.permute(0, 3, 1, 2).to(self.scale.dtype)
        normalised = torch.addcmul(self.shift, planes, self.scale)
        dtype = self.input_dtype or normalised.dtype
        return normalised.to(dtype, memory_format=self._memory_format)

    def features(self, pixels: Tensor) -> Tensor:
        """Turn uint8 (B, H, W, 3) into the float32 features (B, D) of ``stages``."""
        found = self.read(self.normalize(pixels))
        return found if self.feature_shift is None else found - self.feature_shift

    def read(self, planes: Tensor) -> Tensor:
        """Turn normalised planes (B, 3, H, W) into the float32 features (B, D) of ``stages``."""
        return stage_features(self.backbone, planes, self.stages)

    def forward(self, inputs: Tensor) -> Tensor:
        """Turn pixels uint8 (B, H, W, 3), or features float (B, D) of ``stages``, into logits (B, C)."""
        logits: Tensor = self.head(inputs if inputs.ndim == 2 else self.features(inputs))
        return logits


def _frozen_modules(backbone: nn.Module) -> list[nn.Module]:
    """Return the modules in which nothing trains, and what they hold, in the order of the network."""
    frozen: dict[nn.Module, None] = {}
    waiting: list[nn.Module] = []
    last: bool | None = None
    for module in backbone.modules():
        own = [parameter.requires_grad for parameter in module.parameters(recurse=False)]
        inside = [parameter.requires_grad for parameter in module.parameters()]
        if own:
            last = not any(own)
            frozen |= dict.fromkeys(waiting if last else [])
            waiting = []
        if inside:
            frozen |= dict.fromkeys([] if any(inside) else module.modules())
        elif last is None:
            waiting.append(module)
        elif last:
            frozen[module] = None
    return list(frozen)
