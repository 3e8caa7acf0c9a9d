"""PreprocessSpec applied to a picture: the one evaluation transform, in Pillow and numpy."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PIL import Image

from catsdogs.core.preprocess import PreprocessSpec

Pixels = npt.NDArray[np.uint8]

_RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def prepare(
    picture: Image.Image, spec: PreprocessSpec, *, x: float = 0.5, y: float = 0.5, short_px: int = 0
) -> Pixels:
    """Resize an RGB picture and crop it to the network's input.

    The result is that of resizing until the short side fits and cropping afterwards, but only the pixels of
    the crop are ever computed, so a picture of any side ratio costs the same.

    Args:
        picture: Mode RGB, as ``decode`` returns it.
        spec: Size, crop and interpolation; mean and std are applied with the network.
        x: Where the crop lies, in [0, 1]: 0 is left, 1 right; no matter when squashed.
        y: The same from top to bottom.
        short_px: Short side of the picture that the crop is cut from; 0 is as ``spec`` says.

    Returns:
        uint8 (height, width, 3), writable.
    """
    size = (spec.width_px, spec.height_px)
    cropped = spec.crop_mode == "center" or short_px
    box = _crop_box(picture.size, spec, x, y, short_px) if cropped else None
    return np.array(picture.resize(size, _RESAMPLING[spec.interpolation], box=box))


def resize_whole(picture: Image.Image, spec: PreprocessSpec, short_px: int = 0) -> Pixels:
    """Return the picture that ``prepare`` cuts its crops from, uint8 (height, width, 3)."""
    size = resized_size(picture.size, spec, short_px)
    return np.asarray(picture.resize(size, _RESAMPLING[spec.interpolation]))


def crop_offsets(resized: tuple[int, int], spec: PreprocessSpec, x: float, y: float) -> tuple[int, int]:
    """Return (left, top) of a crop in the resized picture, whose (width, height) is given."""
    return round((resized[0] - spec.width_px) * x), round((resized[1] - spec.height_px) * y)


def _crop_box(
    size: tuple[int, int], spec: PreprocessSpec, x: float, y: float, short_px: int
) -> tuple[float, float, float, float]:
    """Return the part of the picture, in its own pixels, that becomes the network's input."""
    width, height = size
    resized_width, resized_height = resized_size(size, spec, short_px)
    left, top = crop_offsets((resized_width, resized_height), spec, x, y)
    return (
        left * width / resized_width,
        top * height / resized_height,
        (left + spec.width_px) * width / resized_width,
        (top + spec.height_px) * height / resized_height,
    )


def resized_size(size: tuple[int, int], spec: PreprocessSpec, short_px: int = 0) -> tuple[int, int]:
    """Return the (width, height) of the whole picture once both its sides fill the target."""
    width, height = size
    target_width, target_height = spec.resized_width_px, spec.resized_height_px
    if short_px:
        target_width = target_height = short_px
    # For square input timm leaves the longer side to torchvision, which truncates it; else it rounds.
    whole = math.floor if target_width == target_height else round
    if target_width * height >= target_height * width:
        return target_width, whole(target_width * height / width)
    return whole(target_height * width / height), target_height
