"""Test-time views of a picture, and the grammar of ``--tta`` that names them.

A recipe is one of these words, or a product of them joined by ``x``, such as ``scales:256,320xflip``:

``none``
    The plain view: the picture prepared as the model wants it.
``flip``
    That and its mirror image.
``five``, ``ten``
    Corners and centre; the same and their mirror images. Where the network sees the whole square the corners
    are cut from a picture one seventh larger, and the centre is the plain view.
``scales:256,320``
    The whole picture resized, with its side ratio kept, until its short side has that many pixels, and the
    centre of that cut out at the size of the network's input. Small scales see more of the picture.
``resnet``
    Five scales with ten crops each: short sides of 224, 256, 384, 480 and 640 px for an input of 224 px, and
    in proportion for others.
``random:N``
    N pictures as training would have drawn them.
``dense``, ``dense:448``
    The centre square of the picture, its short side resized to that many pixels (twice the network's input
    where none are named), given to the network whole. Only ``flip`` goes with it.

Source: Krizhevsky et al. 2012, ImageNet Classification with Deep Convolutional Neural Networks, section 4.1
(ten crops); He et al. 2015, Deep Residual Learning for Image Recognition, section 3.4 (scales).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from catsdogs.core.errors import ConfigError
from catsdogs.core.preprocess import PreprocessSpec

_MOST_VIEWS = 256
_MOST_PX = 4096
# timm's usual share of the resized picture.
_CROP = 0.875
_RESNET_SIDES, _RESNET_INPUT = (224, 256, 384, 480, 640), 224
_FLIP: tuple[Mapping[str, Any], ...] = ({}, {"mirror": True})
_PLACES: tuple[Mapping[str, Any], ...] = (
    {"x": 0.0, "y": 0.0},
    {"x": 1.0, "y": 0.0},
    {"x": 0.0, "y": 1.0},
    {"x": 1.0, "y": 1.0},
    {"x": 0.5, "y": 0.5},
)
_TEN = tuple({**place, "mirror": mirror} for mirror in (False, True) for place in _PLACES)
_WORDS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "none": ({},),
    "flip": _FLIP,
    "five": _PLACES,
    "ten": _TEN,
}
_KNOWN = "none, flip, five, ten, scales:256,320, resnet, random:8, dense, dense:448"
_EXAMPLE = "scales:256,320xflip"
_AXES = {
    "x": "place of the crop",
    "y": "place of the crop",
    "mirror": "mirror image",
    "short_px": "scale",
    "draw": "random views",
    "dense_px": "dense size",
}


@dataclass(frozen=True, slots=True)
class View:
    """One way to look at a picture; without arguments it is the plain view.

    Attributes:
        x: Where the crop lies, in [0, 1]: 0 is the left edge, 1 the right one.
        y: The same from top to bottom.
        mirror: What was cut out is mirrored left to right.
        short_px: Short side of the resized picture that the crop is cut from; 0 is the model's own way.
        draw: Number of a random view, from 1; 0 for the others.
        dense_px: Side of the square that the network is given whole; 0 is the network's own input.
    """

    x: float = 0.5
    y: float = 0.5
    mirror: bool = False
    short_px: int = 0
    draw: int = 0
    dense_px: int = 0

    @property
    def name(self) -> str:
        """Return it in words that no other view has, such as ``320 px top left mirrored``."""
        if self.draw:
            place = f"random {self.draw}"
        elif self.dense_px:
            place = f"dense {self.dense_px} px"
        else:
            rows, columns = {0.0: "top ", 1.0: "bottom "}, {0.0: "left", 1.0: "right"}
            place = (rows.get(self.y, "") + columns.get(self.x, "")).strip() or "centre"
            place = f"{self.short_px} px {place}" if self.short_px else place
        return f"{place} mirrored" if self.mirror else place


PLAIN = View()
VIEWS: dict[str, tuple[View, ...]] = {
    word: tuple(View(**changes) for changes in recipe) for word, recipe in _WORDS.items()
}


def parse_views(tta: str, spec: PreprocessSpec) -> tuple[View, ...]:
    """Return the views of a recipe for a network that wants its pictures as ``spec`` says.

    Raises:
        ConfigError: It is no recipe, two of its factors say the same thing, or a size does not suit the
            network.
    """
    factors = [_factor(word, tta, spec) for word in tta.split("x")]
    _refuse_clashes(factors, tta)
    count = 1
    for factor in factors:
        count *= len(factor)
    if count > _MOST_VIEWS:
        raise ConfigError(f"--tta {tta} has {count} views; {_MOST_VIEWS} are the most")
    views = tuple(_cut(View(**_together(changes)), spec) for changes in product(*factors))
    if len(set(views)) < len(views):
        raise ConfigError(f"--tta {tta} names a view twice")
    return views


def plain_among(views: Sequence[View], spec: PreprocessSpec) -> int | None:
    """Return the position of the view that ``none`` stands for, or None where it is not among them."""
    own = spec.resized_width_px if spec.crop_mode == "center" and spec.width_px == spec.height_px else 0
    same = [replace(view, short_px=0) if view.short_px == own else view for view in views]
    return same.index(PLAIN) if PLAIN in same else None


def input_size(views: Sequence[View], spec: PreprocessSpec) -> tuple[int, int]:
    """Return the (height, width) of what the network is given; it is the same for all views of a recipe."""
    side = views[0].dense_px
    return (side, side) if side else (spec.height_px, spec.width_px)


def _cut(view: View, spec: PreprocessSpec) -> View:
    """Return the view, a crop even where the network sees whole pictures and so nothing would be cut off."""
    whole = spec.crop_mode == "squash" or spec.crop_fraction == 1
    if view.short_px or not whole or (view.x, view.y) == (0.5, 0.5):
        return view
    return replace(view, short_px=round(max(spec.height_px, spec.width_px) / _CROP))


def _factor(word: str, tta: str, spec: PreprocessSpec) -> tuple[Mapping[str, Any], ...]:
    """Return what each view of one factor changes of the plain view."""
    side = max(spec.height_px, spec.width_px)
    parsed = re.fullmatch(r"([a-z]+)(?::(\d{1,6}(?:,\d{1,6})*))?", word, re.ASCII)
    name, numbers = (parsed[1], [int(n) for n in (parsed[2] or "").split(",") if n]) if parsed else ("", [])
    if name in _WORDS and not numbers:
        return _WORDS[name]
    if name == "scales" and numbers:
        return tuple({"short_px": _fitting(number, side, tta)} for number in numbers)
    if name == "resnet" and not numbers:
        sides = [round(one * side / _RESNET_INPUT) for one in _RESNET_SIDES]
        return tuple({"short_px": _fitting(one, side, tta), **crop} for one in sides for crop in _TEN)
    if name == "random" and len(numbers) == 1 and 1 <= numbers[0] <= _MOST_VIEWS:
        return tuple({"draw": draw} for draw in range(1, numbers[0] + 1))
    if name == "dense" and len(numbers) <= 1:
        return ({"dense_px": _fitting(numbers[0] if numbers else 2 * side, side, tta)},)
    if name == "random":
        raise ConfigError(f"--tta {tta}: random needs a number of views from 1 to {_MOST_VIEWS}: random:8")
    if name == "scales":
        raise ConfigError(f"--tta {tta}: scales needs short sides in pixels: scales:256,320")
    raise ConfigError(f"unknown views {word!r}; choose one of {_KNOWN}, or a product such as {_EXAMPLE}")


def _fitting(number: int, side: int, tta: str) -> int:
    if not side <= number <= _MOST_PX:
        raise ConfigError(f"--tta {tta}: {number} px is outside {side} (the network's input) to {_MOST_PX}")
    return number


def _refuse_clashes(factors: Sequence[Iterable[Mapping[str, Any]]], tta: str) -> None:
    said = [{key for changes in factor for key in changes} for factor in factors]
    if len(factors) > 1 and set() in said:
        raise ConfigError(f"--tta {tta}: none is the plain view; leave it out of a product")
    every = set().union(*said)
    # A random view crops and scales for itself, and a dense one is not cropped at all.
    if every & {"draw", "dense_px"} and len(every - {"mirror"}) > 1:
        raise ConfigError(f"--tta {tta}: random and dense views go with flip only")
    for key, chosen in _AXES.items():
        if sum(key in one for one in said) > 1:
            raise ConfigError(f"--tta {tta}: two factors choose the {chosen}")


def _together(changes: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {key: value for one in changes for key, value in one.items()}
