"""Coloured noise, on which errors of rounded networks are measured where no photos are at hand.

A network whose weights are rounded to bf16 shifts the features of all pictures alike: what is rounded is the
same for all of them. The shift is found on pictures that resemble photos in one thing, their spectrum, and is
then subtracted. Source of the idea: Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization
and Bias Correction".
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

PICTURES = 16
_OCTAVES_PX = (2, 4, 8, 16, 32, 64, 128)
_FALL = 0.6
_MEAN, _DEVIATION = 120.0, 60.0


def coloured_noise(height_px: int, width_px: int) -> npt.NDArray[np.uint8]:
    """Return uint8 (16, H, W, 3): smooth noise of several scales, the finer the weaker; always the same."""
    chance = torch.Generator().manual_seed(0)
    total = torch.zeros(PICTURES, 3, height_px, width_px)
    for octave, side in enumerate(_OCTAVES_PX):
        coarse = torch.randn(PICTURES, 3, side, side, generator=chance)
        total += _FALL**octave * F.interpolate(coarse, size=(height_px, width_px), mode="bicubic")
    total -= total.mean((1, 2, 3), keepdim=True)
    pixels = _MEAN + _DEVIATION * total / total.std((1, 2, 3), keepdim=True)
    return np.ascontiguousarray(pixels.clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy())
