"""Pixels of any mode -> RGB: palettes, transparency, and grey of more than 8 bits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, ImageFile
from PIL.JpegImagePlugin import JpegImageFile

_TIFF_BITS_PER_SAMPLE = 258
_TIFF_SAMPLE_FORMAT = 339
_TIFF_SIGNED = 2
_ROWS_AT_ONCE = 64


def to_rgb(picture: ImageFile.ImageFile) -> Image.Image:
    """Return a picture whose pixels are there in mode RGB; transparency becomes white."""
    if picture.mode.startswith(("I", "F")):
        return _grey(picture).convert("RGB")
    if picture.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(picture, lab, srgb, outputMode="RGB") or picture
    if _has_transparency(picture):
        return _on_white(picture)
    if picture.mode == "RGB" and isinstance(picture, JpegImageFile):
        return picture
    # Also for RGB: the new picture lets go of the decoder's buffers and of the file.
    return picture.convert("RGB")


def _has_transparency(picture: Image.Image) -> bool:
    # Pillow's own has_transparency_data fails on a palette picture without a palette.
    if "transparency" in picture.info or picture.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        return True
    return picture.mode == "P" and picture.palette is not None and picture.palette.mode.endswith("A")


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode == "La":
        picture = picture.convert("LA")
    if picture.mode != "RGBA":
        picture = picture.convert("RGBA")
    page = Image.new("RGB", picture.size, "white")
    page.paste(picture, mask=picture.getchannel("A"))
    return page


def _grey(picture: ImageFile.ImageFile) -> Image.Image:
    """Scale grey of 12, 16 or 32 bits or floating point to 8 bits; what is not a number becomes black."""
    values = np.asarray(picture)
    low, high = _grey_range(picture, values)
    scale = 255.0 / (high - low) if high > low else 0.0
    grey = np.empty(values.shape, dtype=np.uint8)
    # A few rows at a time: a large picture in float64 would not fit into the memory budget.
    for top in range(0, len(values), _ROWS_AT_ONCE):
        rows = slice(top, top + _ROWS_AT_ONCE)
        scaled = np.nan_to_num((values[rows].astype(np.float64) - low) * scale)
        grey[rows] = np.clip(scaled, 0, 255) + 0.5
    transparent = picture.info.get("transparency")
    if isinstance(transparent, int):
        grey[values == transparent] = 255
    return Image.fromarray(grey)


def _grey_range(picture: ImageFile.ImageFile, values: npt.NDArray[np.generic]) -> tuple[float, float]:
    """Return which values are black and white: as the format says, else the narrowest usual ones that fit."""
    numbers = values[np.isfinite(values)] if picture.mode == "F" else values
    if not numbers.size:
        return 0.0, 0.0
    low, high = float(numbers.min()), float(numbers.max())
    for white in _possible_whites(picture):
        if low >= 0 and high <= white:
            return 0.0, white
    return low, high


def _possible_whites(picture: ImageFile.ImageFile) -> tuple[float, ...]:
    """Return the usual values of white, ascending; just one where the file says which."""
    if picture.mode == "F":
        return 1.0, 255.0, 65535.0
    tags = getattr(picture, "tag_v2", {})
    bits = tags.get(_TIFF_BITS_PER_SAMPLE, (32 if tags else 16,))[0]
    signed = tags.get(_TIFF_SAMPLE_FORMAT, (1,))[0] == _TIFF_SIGNED
    return (255.0, 65535.0) if bits > 16 else (2.0 ** (bits - signed) - 1,)
