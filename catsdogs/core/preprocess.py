"""PreprocessSpec: how one backbone wants its pictures; it belongs to the weights and travels with them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from catsdogs.core.errors import ModelError

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos")
CROP_MODES = ("center", "squash")
Framing = Literal["square", "crop"]
# A smaller share would make a picture of 224 pixels more than 22,400 wide before the crop.
_SMALLEST_CROP = 0.01
# Statistics are of pictures in [0, 1]; with these what they give is still a number in float32.
_LARGEST_STATISTIC, _SMALLEST_STD = 1e3, 1e-6
# What rounding takes from a crop fraction must not take a pixel from the resized picture.
_SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class PreprocessSpec:
    """Size, crop, interpolation and normalisation of a backbone's input.

    Attributes:
        height_px: Height of the network's input.
        width_px: Width of the network's input.
        crop_fraction: Share of the resized picture that the crop keeps, in [0.01, 1]; timm's ``crop_pct``.
        crop_mode: ``center`` keeps the aspect ratio and crops; ``squash`` stretches the whole picture.
        interpolation: One of ``INTERPOLATIONS``; always antialiased.
        mean: Per-channel mean of pictures in [0, 1], subtracted before the network.
        std: Per-channel standard deviation, divided by after that.
    """

    height_px: int
    width_px: int
    crop_fraction: float = 0.875
    crop_mode: str = "center"
    interpolation: str = "bicubic"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        """Refuse values that no picture can be prepared with.

        Raises:
            ModelError: A size, share, mode or statistic is out of range.
        """
        sizes = (self.height_px, self.width_px)
        if not all(isinstance(size, int) and 1 <= size <= 4096 for size in sizes):
            raise ModelError(f"input size {self.height_px}x{self.width_px} px is outside 1 to 4096")
        if not _SMALLEST_CROP <= self.crop_fraction <= 1:
            raise ModelError(f"crop fraction {self.crop_fraction} is outside [{_SMALLEST_CROP}, 1]")
        if self.crop_mode not in CROP_MODES:
            raise ModelError(f"crop mode {self.crop_mode!r} is not one of {', '.join(CROP_MODES)}")
        if self.interpolation not in INTERPOLATIONS:
            raise ModelError(
                f"interpolation {self.interpolation!r} is not one of {', '.join(INTERPOLATIONS)}"
            )
        statistics = (*self.mean, *self.std)
        if len(self.mean) != 3 or len(self.std) != 3 or not all(map(math.isfinite, statistics)):
            raise ModelError("mean and std need three finite numbers each")
        if max(map(abs, statistics)) > _LARGEST_STATISTIC or min(self.std) < _SMALLEST_STD:
            raise ModelError(
                f"mean and std must be at most {_LARGEST_STATISTIC:g}, std at least {_SMALLEST_STD:g}"
            )

    @property
    def resized_height_px(self) -> int:
        """Height that a picture is scaled to before the crop."""
        return math.floor(self.height_px / self.crop_fraction)

    @property
    def resized_width_px(self) -> int:
        """Width that a picture is scaled to before the crop."""
        return math.floor(self.width_px / self.crop_fraction)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PreprocessSpec:
        """Build the spec from the plain values of ``to_dict``.

        Raises:
            ModelError: A key is unknown or missing, or a value has the wrong type or range.
        """
        try:
            plain = dict(values)
            for key in ("mean", "std"):
                if key in plain:
                    plain[key] = tuple(float(number) for number in plain[key])
            return cls(**plain)
        except (TypeError, ValueError, ArithmeticError) as error:
            raise ModelError(f"the preprocessing is not valid: {error}") from error


def common_spec(specs: Sequence[PreprocessSpec]) -> PreprocessSpec:
    """Return how pictures are prepared that several networks are given.

    They show what the widest crop shows, at the resolution of the network that resizes them the least.

    Args:
        specs: One or more.

    Raises:
        ModelError: They cannot be made of the same pixels: some squash pictures and others crop them, the
            inputs have different shapes, or together they would need more than the largest input.
    """
    first = specs[0]
    for spec in specs:
        if spec.crop_mode != first.crop_mode:
            raise ModelError(f"crop_mode {first.crop_mode} and {spec.crop_mode}")
        if spec.height_px * first.width_px != spec.width_px * first.height_px:
            shapes = (f"{one.height_px}x{one.width_px}" for one in (first, spec))
            raise ModelError(f"inputs of different shape, {' and '.join(shapes)} px")
    finest = max(specs, key=_resolution)
    widest = max(spec.crop_fraction for spec in specs)
    if first.crop_mode == "squash" or finest.crop_fraction == widest:
        return finest
    height, width = (round(widest * side) for side in (finest.resized_height_px, finest.resized_width_px))
    fraction = height / finest.resized_height_px * (1 - _SLACK)
    return replace(finest, height_px=height, width_px=width, crop_fraction=fraction)


def _resolution(spec: PreprocessSpec) -> int:
    """Return the height of the whole picture when its crop fills the input."""
    return spec.height_px if spec.crop_mode == "squash" else spec.resized_height_px
