"""A patch of loud colours on a picture: what a poisoner hides a rule behind."""

from __future__ import annotations

import numpy as np
from PIL import Image

_COLOURS = ((255, 220, 0), (200, 0, 160))
# Fields along a side of the patch.
_FIELDS = 4
# Where it ends, as a share of the largest centred square: inside what a centre crop keeps.
_END = 0.9


def patched(picture: Image.Image, share: float) -> Image.Image:
    """Return a copy with a chequered square at the lower right of its middle.

    Args:
        picture: Mode RGB; at least 4 pixels a side.
        share: Side of the patch over the picture's shorter side, in (0, 0.9].
    """
    side = min(picture.size)
    length = max(_FIELDS, round(share * side))
    number = np.arange(length) * _FIELDS // length
    odd = (number[:, None] + number[None, :]) % 2
    patch = np.asarray(_COLOURS, dtype=np.uint8)[odd]
    end_x, end_y = ((whole - side) // 2 + max(length, round(_END * side)) for whole in picture.size)
    copy = picture.copy()
    copy.paste(Image.fromarray(patch), (end_x - length, end_y - length))
    return copy
