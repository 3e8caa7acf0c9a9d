"""What pictures look like in a few numbers, measured on two small copies of each.

They are there to find where a model fails, so they describe what a network sees: levels as they are stored
(sRGB, which is near to how bright people find them; not linear light), at sizes that are the same for all.
A phone's photo and its thumbnail are then equally sharp wherever a network could not tell them apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

Levels = npt.NDArray[np.uint8]

# The whole picture is measured at the size of its thumbnail. Sharpness needs detail: it is measured on the
# middle third of each side at 64 px, as if the whole were 192 px; more would cost the audit more time.
WHOLE_PX = 48
MIDDLE_PX = 64

_LEVELS = 255.0
# Below this standard deviation of its levels a picture has no detail, only rounding.
_LEAST_DEVIATION = 1.0
# Red, green and blue in 65,536ths, as Pillow weighs them.
_LUMA = np.array([19595, 38470, 7471], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class SmallCopies:
    """The two copies of a picture that are measured, sides stretched to a square.

    Attributes:
        whole: RGB (48, 48, 3).
        middle: The middle third of each side, RGB (64, 64, 3).
    """

    whole: Levels
    middle: Levels

    @classmethod
    def of(cls, picture: Image.Image) -> SmallCopies:
        """Make them of an RGB picture."""
        width, height = picture.size
        third = (width / 3, height / 3, width * 2 / 3, height * 2 / 3)
        whole = picture.resize((WHOLE_PX, WHOLE_PX), Image.Resampling.BILINEAR, reducing_gap=2.0)
        middle = picture.resize((MIDDLE_PX, MIDDLE_PX), Image.Resampling.HAMMING, third)
        return cls(np.asarray(whole), np.asarray(middle))


@dataclass(frozen=True, slots=True)
class Look:
    """What one picture looks like; NaN where it cannot be read.

    Attributes:
        brightness: Mean luma (ITU-R BT.601) in [0, 1]; 0 is black.
        contrast: Standard deviation of that luma over its mean, from 0 up, photos 0.2 to 0.9, at 48 px: RMS
            contrast as Bex and Makous 2002 ("Spatial frequency, phase, and the contrast of natural images")
            define it. A ratio, so that a picture in less light has the same; 0 where all is one colour.
        sharpness: Root mean square of the Laplacian over the standard deviation of the luma, of the middle
            third at 64 px, from 0 up to about 4.5 (white noise), for the same reason.
        colourfulness: M3 of Hasler and Suesstrunk 2003, "Measuring colorfulness in natural images", at 48 px:
            0 is grey, 33 moderately, 59 quite, 109 extremely colourful.
    """

    brightness: float = math.nan
    contrast: float = math.nan
    sharpness: float = math.nan
    colourfulness: float = math.nan


def luma_of(pixels: Levels) -> Levels:
    """Return uint8 (N, H, W) of RGB (N, H, W, 3): ITU-R BT.601, rounded as Pillow rounds it."""
    # Whole numbers below 2 ** 24 are exact in float32, whose matrix products are the fastest.
    return np.asarray((pixels.astype(np.float32) @ _LUMA + 2**15) * np.float32(2**-16)).astype(np.uint8)


def looks_of(whole: Levels, middle: Levels) -> list[Look]:
    """Measure pictures by their copies, (N, 48, 48, 3) and (N, 64, 64, 3).

    They are measured together: many small calls would make threads wait for each other.
    """
    luma = luma_of(whole).reshape(len(whole), -1)
    mean, deviation = luma.mean(axis=1), luma.std(axis=1)
    columns = (
        mean / _LEVELS,
        np.where(deviation > _LEAST_DEVIATION, deviation / np.maximum(mean, 1.0), 0.0),
        _sharpness(luma_of(middle)),
        _colourfulness(whole.reshape(len(whole), -1, 3)),
    )
    return [Look(*row) for row in np.stack(columns, axis=1).tolist()]


def _sharpness(luma: Levels) -> npt.NDArray[np.floating]:
    wide = luma.astype(np.int16)
    edges = 4 * wide[:, 1:-1, 1:-1]
    for neighbours in (wide[:, :-2, 1:-1], wide[:, 2:, 1:-1], wide[:, 1:-1, :-2], wide[:, 1:-1, 2:]):
        edges -= neighbours
    detail = np.sqrt(np.square(edges, dtype=np.float32).mean(axis=(1, 2)))
    deviation = luma.std(axis=(1, 2), dtype=np.float32)
    return np.where(deviation > _LEAST_DEVIATION, detail / np.maximum(deviation, _LEAST_DEVIATION), 0.0)


def _colourfulness(pixels: Levels) -> npt.NDArray[np.floating]:
    """Return M3 = sigma_rgyb + 0.3 mu_rgyb of RGB levels (N, P, 3) in [0, 255]."""
    red, green, blue = np.moveaxis(pixels, 2, 0).astype(np.float32, order="C")
    opponents = (red - green, (red + green) / 2 - blue)
    spread = np.hypot(*(one.std(axis=1) for one in opponents))
    return np.asarray(spread + 0.3 * np.hypot(*(one.mean(axis=1) for one in opponents)))
