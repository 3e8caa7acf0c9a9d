"""Training transforms: what a picture may look like, drawn from (seed, epoch, index) and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from PIL import Image
from torchvision.transforms import InterpolationMode, v2

from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.data.preparation import Pixels, prepare
from catsdogs.data.presets import AugmentationSpec
from catsdogs.data.seeding import drawing_from
from catsdogs.data.warping import Warp

_MODES = {
    "nearest": InterpolationMode.NEAREST,
    "bilinear": InterpolationMode.BILINEAR,
    "bicubic": InterpolationMode.BICUBIC,
    "lanczos": InterpolationMode.LANCZOS,
}

Transform = Callable[[Image.Image], Image.Image]


class Augmentation:
    """What training does to a picture: crop first, then everything else on the few pixels of the crop.

    The same (seed, epoch, index) gives the same pixels on any number of workers and after any resume. What a
    policy or erasing leaves blank has the mean colour, which the network sees as zero.

    Args:
        spec: The size of the network's input, and its interpolation and mean.
        changes: How strongly each kind of change works.
        seed: Of the run.
    """

    def __init__(self, spec: PreprocessSpec, changes: AugmentationSpec, *, seed: int) -> None:
        self._seed = seed
        self._crop = _random_crop(spec, changes) if changes.crop < 1 else partial(_prepared, spec=spec)
        self._transforms = _transforms(changes, tuple(round(255 * mean) for mean in spec.mean))

    def __call__(self, picture: Image.Image, *, epoch: int, index: int) -> Pixels:
        """Turn an RGB picture into uint8 (H, W, 3)."""
        with drawing_from(self._seed, epoch, index):
            picture = self._crop(picture)
            for transform in self._transforms:
                picture = transform(picture)
            return np.asarray(picture)


def _prepared(picture: Image.Image, spec: PreprocessSpec) -> Image.Image:
    return Image.fromarray(prepare(picture, spec))


def _random_crop(spec: PreprocessSpec, changes: AugmentationSpec) -> Any:
    shape = spec.width_px / spec.height_px
    return v2.RandomResizedCrop(
        (spec.height_px, spec.width_px),
        scale=(changes.crop, 1.0),
        ratio=(shape / changes.aspect, shape * changes.aspect),
        interpolation=_MODES[spec.interpolation],
        antialias=True,
    )


def _transforms(changes: AugmentationSpec, fill: tuple[int, ...]) -> list[Transform]:
    """Return what is done to the crop, in this order; what would do nothing is left out."""
    warps = (changes.translation, changes.rotation, changes.shear, changes.perspective, changes.elastic)
    colours = (changes.brightness, changes.contrast, changes.saturation, changes.hue)
    policy = {"interpolation": InterpolationMode.BILINEAR, "fill": fill}
    candidates: list[tuple[object, Any]] = [
        (changes.mirror, v2.RandomHorizontalFlip()),
        (any(warps), Warp(changes)),
        (any(colours), v2.ColorJitter(*colours)),
        (changes.grey, v2.RandomGrayscale(changes.grey)),
        (changes.policy == "randaugment", v2.RandAugment(**policy)),
        (changes.policy == "trivialaugment", v2.TrivialAugmentWide(**policy)),
        (changes.erasing, v2.RandomErasing(changes.erasing, value=fill)),
    ]
    return [transform for wanted, transform in candidates if wanted]
