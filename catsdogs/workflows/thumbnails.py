"""Small pictures for sheets, read again from where they lie."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps

from catsdogs.core.errors import PictureError
from catsdogs.core.records import ImageRecord
from catsdogs.data.preparation import Pixels
from catsdogs.data.stream import read_picture


def square_thumbnail(record: ImageRecord, side_px: int) -> Pixels | None:
    """Return the whole picture within a white square; None where it cannot be read any more."""
    try:
        picture = read_picture(record, at_least_px=(side_px, side_px))
    except (PictureError, MemoryError):
        return None
    inside = ImageOps.pad(picture, (side_px, side_px), Image.Resampling.BILINEAR, color="white")
    return np.asarray(inside)
