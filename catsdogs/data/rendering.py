"""Views to pixels: what they share is computed once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.data.preparation import Pixels, crop_offsets, prepare, resize_whole, resized_size
from catsdogs.data.views import PLAIN, View, input_size

Draw = Callable[[Image.Image, int], Pixels]
"""A random view, uint8 (H, W, 3), of an RGB picture, by its number."""


def render(
    picture: Image.Image, spec: PreprocessSpec, views: Sequence[View], draw: Draw | None = None
) -> Pixels:
    """Return the views of an RGB picture, uint8 (V, H, W, 3).

    A crop and its mirror image are made once, and crops of one scale are cut from one resized picture, unless
    that has more pixels than the crops together.

    Args:
        picture: As ``decode`` returns it.
        spec: How the network wants its pictures.
        views: Of one recipe.
        draw: Makes random views; needed only where there are any.
    """
    upright = [_upright(view, spec) for view in views]
    made: dict[View, Pixels] = {}
    for short_px in dict.fromkeys(view.short_px for view in upright):
        made |= _crops(picture, spec, [view for view in upright if view.short_px == short_px], draw)
    pixels = np.empty((len(views), *input_size(views, spec), 3), dtype=np.uint8)
    for row, view, base in zip(pixels, views, upright, strict=True):
        row[:] = made[base][:, ::-1] if view.mirror else made[base]
    return pixels


def at_least_px(spec: PreprocessSpec, views: Sequence[View] = (PLAIN,)) -> tuple[int, int]:
    """Return the (width, height) that every view needs: what ``decode`` may be asked for.

    A picture is decoded once: beside a large scale the plain view of a large picture is made from more pixels
    than alone, and may differ in its last digits.
    """
    if spec.crop_mode == "squash":
        width, height = spec.width_px, spec.height_px
    else:
        width, height = spec.resized_width_px, spec.resized_height_px
    sides = [max(view.short_px, view.dense_px) for view in views]
    return max(width, *sides), max(height, *sides)


def _upright(view: View, spec: PreprocessSpec) -> View:
    """Return what has to be computed for a view: nobody can tell where a squashed picture was cut."""
    if spec.crop_mode == "squash" and not view.short_px:
        view = replace(view, x=0.5, y=0.5)
    return replace(view, mirror=False)


def _crops(
    picture: Image.Image, spec: PreprocessSpec, views: Sequence[View], draw: Draw | None
) -> dict[View, Pixels]:
    """Make upright views of one scale."""
    made: dict[View, Pixels] = {}
    placed: list[View] = []
    for view in dict.fromkeys(views):
        if view.draw:
            assert draw is not None
            made[view] = draw(picture, view.draw)
        elif view.dense_px:
            made[view] = prepare(picture, dense_spec(spec, view.dense_px))
        elif (view.x, view.y) == (0.5, 0.5):
            # Alone among the crops it must not depend, to the last digit, on which others there are.
            made[view] = prepare(picture, spec, short_px=view.short_px)
        else:
            placed.append(view)
    return made | _placed(picture, spec, placed)


def _placed(picture: Image.Image, spec: PreprocessSpec, views: Sequence[View]) -> dict[View, Pixels]:
    if not views:
        return {}
    short_px = views[0].short_px
    width, height = resized_size(picture.size, spec, short_px)
    if width * height > len(views) * spec.width_px * spec.height_px:
        return {view: prepare(picture, spec, x=view.x, y=view.y, short_px=short_px) for view in views}
    whole = resize_whole(picture, spec, short_px)
    made = {}
    for view in views:
        left, top = crop_offsets((width, height), spec, view.x, view.y)
        made[view] = whole[top : top + spec.height_px, left : left + spec.width_px]
    return made


def dense_spec(spec: PreprocessSpec, side_px: int) -> PreprocessSpec:
    """Return the preparation of a square that the network is given whole: nothing is cut off its sides."""
    return replace(spec, height_px=side_px, width_px=side_px, crop_fraction=1.0, crop_mode="center")
