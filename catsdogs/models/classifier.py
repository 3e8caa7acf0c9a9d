"""ImageClassifier: pixels to logits, the one network that training, evaluation and prediction share."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from catsdogs.core.preprocess import PreprocessSpec


class ImageClassifier(nn.Module):
    """A backbone and a head, with the normalisation of the pictures inside.

    Input is uint8 (B, H, W, 3) in [0, 255], as the data layer makes it; output is logits (B, C), without
    temperature. A permuted NHWC batch already lies in memory as a channels-last NCHW one, so that format
    costs nothing.

    Attributes:
        frozen_statistics: Keep the means and variances of the backbone's BatchNorm layers as they are, and
            use them, in training too: their scales and shifts still learn. Set it before ``train()``.
    """

    head: nn.Sequential
    input_dtype: torch.dtype | None = None
    scale: Tensor
    shift: Tensor

    def __init__(self, backbone: nn.Module, head: nn.Sequential, spec: PreprocessSpec) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.frozen_statistics = False
        self._memory_format = torch.contiguous_format
        scale = 1 / (255 * torch.tensor(spec.std))
        shift = -torch.tensor(spec.mean) / torch.tensor(spec.std)
        # They follow from the preprocessing, which the model file holds already.
        self.register_buffer("scale", scale.view(1, 3, 1, 1), persistent=False)
        self.register_buffer("shift", shift.view(1, 3, 1, 1), persistent=False)

    def train(self, mode: bool = True) -> ImageClassifier:
        """Set the mode of every module, but leave frozen BatchNorm in evaluation mode."""
        super().train(mode)
        if self.frozen_statistics:
            for module in self.backbone.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
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
        """Turn uint8 (B, H, W, 3) into float32 features (B, D)."""
        features: Tensor = self.backbone(self.normalize(pixels))
        return features.float()

    def forward(self, pixels: Tensor) -> Tensor:
        """Turn uint8 (B, H, W, 3) into logits (B, C)."""
        logits: Tensor = self.head(self.features(pixels))
        return logits
