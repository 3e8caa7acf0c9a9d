"""Test-time views of a picture: crops and their mirror images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from catsdogs.core.errors import ConfigError
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.data.preparation import Pixels, prepare


@dataclass(frozen=True, slots=True)
class View:
    """One way to look at a picture.

    Attributes:
        x: Where the crop lies, in [0, 1]: 0 is the left edge, 1 the right one.
        y: The same from top to bottom.
        mirror: The crop is mirrored left to right after it was cut out.
    """

    x: float = 0.5
    y: float = 0.5
    mirror: bool = False


_CENTRE = View()
_FIVE = (View(0, 0), View(1, 0), View(0, 1), View(1, 1), _CENTRE)


def _mirrored(views: Sequence[View]) -> tuple[View, ...]:
    return tuple(View(view.x, view.y, mirror=not view.mirror) for view in views)


VIEWS: dict[str, tuple[View, ...]] = {
    "none": (_CENTRE,),
    "flip": (_CENTRE, *_mirrored([_CENTRE])),
    "five": _FIVE,
    "ten": (*_FIVE, *_mirrored(_FIVE)),
}


def parse_views(name: str) -> tuple[View, ...]:
    """Return the views of a recipe.

    Raises:
        ConfigError: There is no recipe of that name.
    """
    try:
        return VIEWS[name]
    except KeyError:
        raise ConfigError(f"unknown views {name!r}; choose one of {', '.join(VIEWS)}") from None


def render(picture: Image.Image, spec: PreprocessSpec, views: Sequence[View]) -> Pixels:
    """Return the views of an RGB picture, uint8 (V, H, W, 3); a crop and its mirror cost one resize."""
    crops: dict[tuple[float, float], Pixels] = {}
    pixels = np.empty((len(views), spec.height_px, spec.width_px, 3), dtype=np.uint8)
    for row, view in zip(pixels, views, strict=True):
        place = (view.x, view.y) if spec.crop_mode == "center" else (0.5, 0.5)
        if place not in crops:
            crops[place] = prepare(picture, spec, x=place[0], y=place[1])
        row[:] = crops[place][:, ::-1] if view.mirror else crops[place]
    return pixels


def at_least_px(spec: PreprocessSpec) -> tuple[int, int]:
    """Return the (width, height) that every view needs: what ``decode`` may be asked for."""
    if spec.crop_mode == "squash":
        return spec.width_px, spec.height_px
    return spec.resized_width_px, spec.resized_height_px
