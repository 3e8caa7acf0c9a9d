"""Training transforms: what a picture may look like, drawn from (seed, epoch, index) and nothing else."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, v2

from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.data.preparation import Pixels

_MODES = {
    "nearest": InterpolationMode.NEAREST,
    "bilinear": InterpolationMode.BILINEAR,
    "bicubic": InterpolationMode.BICUBIC,
    "lanczos": InterpolationMode.LANCZOS,
}


class Augmentation:
    """Random resized crop, mirror and colour.

    The same (seed, epoch, index) gives the same crop on any number of workers and after any resume.
    """

    def __init__(self, spec: PreprocessSpec, *, seed: int, smallest_crop: float = 0.35) -> None:
        self._seed = seed
        self._transform = v2.Compose(
            [
                v2.RandomResizedCrop(
                    (spec.height_px, spec.width_px),
                    scale=(smallest_crop, 1.0),
                    interpolation=_MODES[spec.interpolation],
                    antialias=True,
                ),
                v2.RandomHorizontalFlip(),
                v2.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2),
            ]
        )

    def __call__(self, picture: Image.Image, *, epoch: int, index: int) -> Pixels:
        """Turn an RGB picture into uint8 (H, W, 3)."""
        state = np.random.SeedSequence([self._seed, epoch, index]).generate_state(1, np.uint64)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(state[0] >> 1))
            return np.asarray(self._transform(picture))
