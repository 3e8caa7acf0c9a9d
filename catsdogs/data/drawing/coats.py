"""Coats: all of an animal's look that says nothing about its kind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from catsdogs.data.drawing.canvas import BLACK, WHITE, Colour, brightness, mix

_FURS: tuple[Colour, ...] = (
    (46, 44, 50), (84, 80, 84), (128, 126, 130), (176, 174, 172), (240, 236, 226), (232, 208, 164),
    (222, 146, 70), (190, 106, 52), (142, 92, 58), (92, 62, 46), (202, 168, 124), (120, 130, 150),
)  # fmt: skip
_IRISES: tuple[Colour, ...] = (
    (236, 200, 70), (150, 190, 80), (110, 178, 214), (214, 140, 50), (120, 190, 160), (170, 120, 70),
)  # fmt: skip
_PINKS: tuple[Colour, ...] = ((236, 150, 150), (226, 128, 134), (240, 172, 160))
_TINT = 9.0
_PATTERNS = ("plain", "stripes", "patches", "blaze", "mask")


@dataclass(frozen=True)
class Coat:
    """The look of one animal, drawn without regard to its kind; widths and lengths in head radii."""

    fur: Colour
    second: Colour
    muzzle: Colour
    ear: Colour
    pink: Colour
    iris: Colour
    nose: Colour
    line: Colour
    line_width: float
    pattern: str
    tuft: float

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Coat:
        """Draw a coat at random."""
        fur, second = (_tinted(_FURS[i], rng) for i in rng.choice(len(_FURS), 2, replace=False))
        pink = _PINKS[rng.integers(len(_PINKS))]
        dark_fur = brightness(fur) < 80
        shaded = mix(fur, WHITE if dark_fur else BLACK, rng.uniform(0.16, 0.32))
        return cls(
            fur=fur,
            second=second,
            muzzle=mix(fur, WHITE, rng.uniform(0.35, 0.75)),
            ear=shaded if rng.random() < 0.6 else mix(second, shaded, 0.3),
            pink=pink,
            iris=_IRISES[rng.integers(len(_IRISES))],
            nose=BLACK if rng.random() < 0.55 else mix(pink, BLACK, rng.uniform(0.1, 0.5)),
            line=mix(fur, WHITE, 0.45) if dark_fur else mix(fur, BLACK, rng.uniform(0.55, 1.0)),
            line_width=float(rng.choice([0.0, 0.03, 0.045, 0.06])),
            pattern=_PATTERNS[rng.integers(len(_PATTERNS))],
            tuft=float(rng.choice([0.0, 0.0, 0.05, 0.09])),
        )


def _tinted(colour: Colour, rng: np.random.Generator) -> Colour:
    """Return the colour a little off."""
    red, green, blue = (int(v) for v in np.clip(colour + rng.normal(0, _TINT, 3), 0, 255))
    return red, green, blue
