"""Pictures moved by a few pixels: what is in them stays the same, and so should the answer.

Source: Azulay and Weiss 2019, "Why do deep convolutional networks generalize so poorly to small image
transformations?"; Zhang 2019, "Making Convolutional Networks Shift-Invariant Again".
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.data.preparation import Pixels, prepare, resized_size

SIZES_PX = (1, 2, 4, 8, 16)
DIRECTIONS = ((-1, 0), (1, 0), (0, -1), (0, 1))
_LARGEST_SHARE = 0.25


def room_px(spec: PreprocessSpec) -> int:
    """Return how far every picture can be moved before an edge comes in."""
    if spec.crop_mode != "center":
        return 0
    spare = spec.resized_width_px - spec.width_px, spec.resized_height_px - spec.height_px
    return min(spare) // 2


class Shifting:
    """Moves the crop within the resized picture: a ``Draw`` for random views.

    By as many whole pixels as there is room, so that the pixels that stay in sight are the same ones; beyond
    that, and where the whole picture is squashed, the picture is mirrored at its edge. The first view is not
    moved at all, so that it can be compared with the plain view.

    Attributes:
        places: Of view 1, 2 ...: (pixels to the right, pixels downwards).
        sizes_px: How far; at most a quarter of the network's input.

    Args:
        spec: How the network wants its pictures.
    """

    def __init__(self, spec: PreprocessSpec) -> None:
        most = _LARGEST_SHARE * min(spec.height_px, spec.width_px)
        self.sizes_px = tuple(size for size in SIZES_PX if size <= most)
        moves = [(size * x, size * y) for size in self.sizes_px for x, y in DIRECTIONS]
        self.places = ((0, 0), *moves)
        self._spec = spec

    def __call__(self, picture: Image.Image, number: int) -> Pixels:
        """Return view ``number``, from 1, of an RGB picture: uint8 (H, W, 3)."""
        return moved(picture, self._spec, *self.places[number - 1])


def moved(picture: Image.Image, spec: PreprocessSpec, right_px: int, down_px: int) -> Pixels:
    """Return the network's input, uint8 (H, W, 3), with the crop moved by whole pixels of it."""
    spare_x, spare_y = _spare(picture.size, spec)
    x, beyond_x = _placed(spare_x, right_px)
    y, beyond_y = _placed(spare_y, down_px)
    pixels = prepare(picture, spec, x=x, y=y)
    if not (beyond_x or beyond_y):
        return pixels
    height, width = pixels.shape[:2]
    edges = [(max(-by, 0), max(by, 0)) for by in (beyond_y, beyond_x)]
    wide = np.pad(pixels, (*edges, (0, 0)), mode="symmetric")
    top, left = max(beyond_y, 0), max(beyond_x, 0)
    return np.ascontiguousarray(wide[top : top + height, left : left + width])


def _spare(size: tuple[int, int], spec: PreprocessSpec) -> tuple[int, int]:
    """Return how many pixels of the resized picture the crop leaves out, across and down."""
    if spec.crop_mode != "center":
        return 0, 0
    width, height = resized_size(size, spec)
    return width - spec.width_px, height - spec.height_px


def _placed(spare: int, by: int) -> tuple[float, int]:
    """Return where the crop lies, in [0, 1], and how many pixels of the way are left."""
    if not spare:
        return 0.5, by
    centre = round(spare * 0.5)  # as the preparation rounds it
    place = min(max(centre + by, 0), spare)
    # Exactly the plain view's number where it has not moved: a half that rounds the same way.
    return (0.5 if place == centre else place / spare), centre + by - place
