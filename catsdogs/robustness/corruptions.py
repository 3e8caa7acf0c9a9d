"""Corruptions in the manner of ImageNet-C: what cameras, weather and files do to a prepared picture.

They change the network's input (uint8), as the benchmark does, in five strengths. Noise, contrast,
brightness, JPEG quality and the share of pixels that pixelating keeps are the benchmark's own numbers. Radii
of blurs are its numbers at 224 px and in proportion at other sizes. Three things are not as in its code: the
edge of the defocus disc is softened over one pixel, motion is drawn with its one-sided Gaussian but without
ImageMagick, and haze is a sum of smooth noise with the benchmark's decay instead of its diamond-square
fractal. Pictures are rounded, not cut off, to 8 bits, and not saved as JPEG once more. So figures may stand
beside each other here, and not beside those of published tables.

Source: Hendrycks and Dietterich 2019, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations"; parameters from its ``make_imagenet_c.py``.
"""

from __future__ import annotations

import hashlib
import io
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.signal import fftconvolve

from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.data.preparation import Pixels, prepare
from catsdogs.robustness.prepared import LastPrepared

Planes = npt.NDArray[np.float32]
"""A picture (H, W, 3) with values in [0, 1]; what leaves the range is cut off afterwards."""

STRENGTHS = (1, 2, 3, 4, 5)
_PAPER_PX = 224


@dataclass(frozen=True)
class Corruption:
    """One kind of corruption.

    Attributes:
        name: As ``robustness.json`` has it.
        setting: What the numbers below are, for people; ``{}`` is a number.
        numbers: One a strength, or several together, from mild to harsh.
        apply: Changes planes by a number, and draws from a generator what is left to chance.
    """

    name: str
    setting: str
    numbers: tuple[Any, ...]
    apply: Callable[[Planes, Any, np.random.Generator], npt.NDArray[Any]]

    def setting_at(self, strength: int) -> str:
        """Return a strength in words, such as ``quality 25``."""
        number = self.numbers[strength - 1]
        return self.setting.format(*(number if isinstance(number, tuple) else (number,)))


def _gaussian_noise(planes: Planes, deviation: float, rng: np.random.Generator) -> Planes:
    return planes + np.float32(deviation) * rng.standard_normal(planes.shape, dtype=np.float32)


def _shot_noise(planes: Planes, photons: float, rng: np.random.Generator) -> npt.NDArray[Any]:
    return rng.poisson(planes * photons) / photons


def _impulse_noise(planes: Planes, share: float, rng: np.random.Generator) -> Planes:
    lot = rng.random(planes.shape, dtype=np.float32)
    return np.where(lot < share / 2, np.float32(0), np.where(lot < share, np.float32(1), planes))


def _defocus_blur(planes: Planes, radius: float, _: np.random.Generator) -> npt.NDArray[Any]:
    radius *= _scale(planes)
    reach = math.ceil(radius)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return _convolved(planes, np.clip(radius + 0.5 - np.hypot(x, y), 0, 1))


def _motion_blur(planes: Planes, motion: tuple[float, float], rng: np.random.Generator) -> npt.NDArray[Any]:
    """Blur along a line at up to 45 degrees to the horizontal, more and more weakly."""
    radius, deviation = (number * _scale(planes) for number in motion)
    angle = math.radians(rng.uniform(-45, 45))
    reach = max(1, math.ceil(2 * radius))
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    for step in range(reach + 1):
        y, x = reach + round(step * math.sin(angle)), reach + round(step * math.cos(angle))
        kernel[y, x] += math.exp(-(step**2) / (2 * deviation**2))
    return _convolved(planes, kernel)


def _pixelate(planes: Planes, share: float, _: np.random.Generator) -> Planes:
    height, width = planes.shape[:2]
    small = (max(1, int(width * share)), max(1, int(height * share)))
    box = Image.Resampling.BOX
    return _from_bytes(_picture(planes).resize(small, box).resize((width, height), box))


def _brightness(planes: Planes, more: float, _: np.random.Generator) -> npt.NDArray[Any]:
    """Raise the value of HSV; hue and saturation stay."""
    value = planes.max(axis=2, keepdims=True)
    raised = np.minimum(value + more, 1)
    return np.asarray(np.where(value > 0, planes * (raised / np.maximum(value, 1e-6)), raised))


def _contrast(planes: Planes, share: float, _: np.random.Generator) -> npt.NDArray[Any]:
    means = planes.mean(axis=(0, 1), keepdims=True)
    return np.asarray((planes - means) * share + means)


def _haze(planes: Planes, haze: tuple[float, float], rng: np.random.Generator) -> npt.NDArray[Any]:
    amount, decay = haze
    white = float(planes.max())
    hazy = planes + amount * _clouds(planes.shape[0], planes.shape[1], decay, rng)[..., None]
    return np.asarray(hazy * (white / (white + amount)))


def _jpeg(planes: Planes, quality: int, _: np.random.Generator) -> Planes:
    stream = io.BytesIO()
    _picture(planes).save(stream, "JPEG", quality=quality)
    with Image.open(stream) as read:
        return _from_bytes(read)


CORRUPTIONS: tuple[Corruption, ...] = (
    Corruption("gaussian_noise", "deviation {}", (0.08, 0.12, 0.18, 0.26, 0.38), _gaussian_noise),
    Corruption("shot_noise", "{} photons", (60, 25, 12, 5, 3), _shot_noise),
    Corruption("impulse_noise", "share {}", (0.03, 0.06, 0.09, 0.17, 0.27), _impulse_noise),
    Corruption("defocus_blur", "radius {} of 224 px", (3, 4, 6, 8, 10), _defocus_blur),
    Corruption(
        "motion_blur",
        "radius {}, spread {}",
        ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),
        _motion_blur,
    ),
    Corruption("pixelate", "side times {}", (0.6, 0.5, 0.4, 0.3, 0.25), _pixelate),
    Corruption("brightness", "value plus {}", (0.1, 0.2, 0.3, 0.4, 0.5), _brightness),
    Corruption("contrast", "times {}", (0.4, 0.3, 0.2, 0.1, 0.05), _contrast),
    Corruption("haze", "amount {}, decay {}", ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)), _haze),
    Corruption("jpeg", "quality {}", (25, 18, 15, 10, 7), _jpeg),
)
"""The kinds, in the benchmark's order: noise, blur, weather, digital."""


def corrupted(pixels: Pixels, kind: Corruption, strength: int, *, seed: int) -> Pixels:
    """Return a prepared picture, uint8 (H, W, 3), corrupted; the same every time.

    What is left to chance follows from the seed, the kind and the pixels, whatever the file is called. All
    strengths draw alike, so that they differ by their strength alone.
    """
    digest = hashlib.blake2b(pixels.tobytes(), digest_size=8).digest()
    rng = np.random.default_rng([seed, zlib.crc32(kind.name.encode()), int.from_bytes(digest, "little")])
    planes = pixels.astype(np.float32) / np.float32(255)
    return _to_bytes(kind.apply(planes, kind.numbers[strength - 1], rng))


class Corrupting:
    """Makes every kind in every strength of a picture: a ``Draw`` for random views.

    Attributes:
        places: Of view 1, 2 ...: which kind and which strength it is.

    Args:
        spec: How the network wants its pictures.
        seed: Of what is left to chance.
        kinds: Which kinds.
    """

    def __init__(self, spec: PreprocessSpec, *, seed: int, kinds: Sequence[Corruption] = CORRUPTIONS) -> None:
        self.places = tuple((kind, strength) for kind in kinds for strength in STRENGTHS)
        self._seed = seed
        self._prepared = LastPrepared(lambda picture: prepare(picture, spec))

    def __call__(self, picture: Image.Image, number: int) -> Pixels:
        """Return view ``number``, from 1, of an RGB picture: uint8 (H, W, 3)."""
        kind, strength = self.places[number - 1]
        return corrupted(self._prepared(picture), kind, strength, seed=self._seed)


def _scale(planes: Planes) -> float:
    return float(min(planes.shape[:2]) / _PAPER_PX)


def _convolved(planes: Planes, kernel: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Blur with a square kernel of odd side; the picture is mirrored at its edges."""
    reach = len(kernel) // 2
    wide = np.pad(planes, ((reach, reach), (reach, reach), (0, 0)), mode="symmetric")
    weights = (kernel / kernel.sum()).astype(np.float32)[:, :, None]
    blurred: npt.NDArray[Any] = fftconvolve(wide, weights, mode="valid", axes=(0, 1))
    return blurred


def _clouds(height: int, width: int, decay: float, rng: np.random.Generator) -> Planes:
    """Return smooth noise (H, W) from 0 to 1; each octave is ``decay`` squared weaker than the last."""
    side = max(height, width)
    field = np.zeros((side, side), dtype=np.float32)
    nodes, amplitude = 2, 1.0
    while nodes <= max(side, 2):
        grid = rng.uniform(-amplitude, amplitude, (nodes, nodes)).astype(np.float32)
        field += np.asarray(Image.fromarray(grid).resize((side, side), Image.Resampling.BICUBIC))
        nodes, amplitude = 2 * nodes, amplitude / decay**2
    field = field[:height, :width] - field[:height, :width].min()
    return np.asarray(field / max(float(field.max()), 1e-6))


def _to_bytes(planes: npt.NDArray[Any]) -> Pixels:
    return np.asarray(np.rint(np.clip(planes, 0, 1) * 255), dtype=np.uint8)


def _picture(planes: Planes) -> Image.Image:
    return Image.fromarray(_to_bytes(planes))


def _from_bytes(picture: Image.Image) -> Planes:
    return np.asarray(picture, dtype=np.float32) / np.float32(255)
