"""What tells the kinds apart, part by part: ears, muzzles, pupils and tails.

A new kind is one more row of ``ANATOMIES``. Lengths are in head radii; parts that come in pairs are told for
the right side.
"""

from __future__ import annotations

from catsdogs.data.drawing.anatomy import Anatomy, Ears, Sitter
from catsdogs.data.drawing.canvas import (
    BLACK,
    WHITE,
    Canvas,
    Colour,
    Points,
    ellipse,
    mirrored,
    mix,
    outline,
    ribbon,
    shifted,
    sided,
    smooth,
    turned,
)


def _pointed_ears(canvas: Canvas, sitter: Sitter) -> None:
    height, spread = sitter.rng.uniform(1.3, 1.6), sitter.jitter(0.12)
    ear = outline((0.98, -0.25), (0.98, -0.8), (0.8 + spread, -height), (0.46, -1.08), (0.14, -0.8))
    inner = (ear - (0.62, -0.6)) * 0.58 + (0.64, -0.68)
    _paint_ears(canvas, sitter, ear, inner, about=(0.55, -0.5), sway=7)


def _bat_ears(canvas: Canvas, sitter: Sitter) -> None:
    length = sitter.rng.uniform(0.36, 0.46)
    ear = ellipse(0.72, -0.55 - length, 0.33, length, 18)
    inner = ellipse(0.72, -0.55 - length, 0.17, 0.66 * length, 18)
    _paint_ears(canvas, sitter, ear, inner, about=(0.6, -0.5), sway=9)


def _tall_ears(canvas: Canvas, sitter: Sitter) -> None:
    length = sitter.rng.uniform(0.7, 0.95)
    ear = ellipse(0.42, -0.75 - length, 0.27, length, 8)
    inner = ellipse(0.42, -0.75 - length, 0.14, length * 0.75, 8)
    _paint_ears(canvas, sitter, ear, inner, about=(0.4, -0.6), sway=12)


def _round_ears(canvas: Canvas, sitter: Sitter) -> None:
    radius = sitter.rng.uniform(0.55, 0.68)
    _paint_ears(
        canvas,
        sitter,
        ellipse(0.88, -0.82, radius, radius),
        ellipse(0.88, -0.8, 0.65 * radius, 0.65 * radius),
        about=(0.6, -0.5),
        sway=6,
    )


def _paint_ears(
    canvas: Canvas, sitter: Sitter, ear: Points, inner: Points, *, about: tuple[float, float], sway: float
) -> None:
    """Paint two upright ears, told for the right side, each with its own sway in degrees."""
    head = sitter.back_of_head(canvas)
    colour = sitter.coat.fur if sitter.rng.random() < 0.5 else sitter.coat.ear
    lining = sitter.coat.pink if sitter.rng.random() < 0.6 else mix(colour, sitter.coat.muzzle, 0.8)
    for side in (-1, 1):
        degrees = sitter.jitter(sway)
        sitter.paint(head, sided(turned(ear, degrees, about), side), colour)
        head.fill(sided(turned(inner, degrees, about), side), lining)


def _hanging_ears(canvas: Canvas, sitter: Sitter) -> None:
    _paint_lobes(canvas, sitter, length=sitter.rng.uniform(0.35, 0.95), flare=sitter.rng.uniform(0.0, 0.22))


def _long_hanging_ears(canvas: Canvas, sitter: Sitter) -> None:
    _paint_lobes(canvas, sitter, length=sitter.rng.uniform(1.1, 1.4), flare=sitter.rng.uniform(0.0, 0.15))


def _paint_lobes(canvas: Canvas, sitter: Sitter, *, length: float, flare: float) -> None:
    """Paint two ears that hang down to ``length`` below the middle of the head."""
    lobe = outline(
        (0.42, -0.9), (0.8, -0.92), (1.1 + flare, -0.5), (1.28 + flare, 0.5 * length - 0.1),
        (1.12 + flare, length), (0.84 + flare, length - 0.05), (0.74, 0.2 * length - 0.1), (0.68, -0.45),
    )  # fmt: skip
    head = sitter.back_of_head(canvas)
    for side in (-1, 1):
        ear = turned(lobe, sitter.jitter(7), (0.6, -0.8))
        sitter.paint(head, smooth(sided(ear, side)), sitter.coat.ear)


def _folded_ears(canvas: Canvas, sitter: Sitter) -> None:
    flap = outline((0.25, -0.88), (0.6, -1.02), (0.95, -0.85), (1.1, -0.5), (0.98, -0.3), (0.62, -0.5))
    head = sitter.back_of_head(canvas)
    for side in (-1, 1):
        ear = turned(flap, sitter.jitter(7), (0.6, -0.8))
        sitter.paint(head, sided(ear, side), sitter.coat.ear)


def _short_muzzle(canvas: Canvas, sitter: Sitter) -> None:
    coat, ink = sitter.coat, sitter.ink()
    for side in (-1, 1):
        canvas.fill(ellipse(side * 0.19, 0.42, 0.25, 0.2), coat.muzzle)
    canvas.fill(ellipse(0, 0.6, 0.16, 0.12), coat.muzzle)
    if sitter.rng.random() < 0.25:
        canvas.fill(ellipse(0, 0.58, 0.09, 0.13), coat.pink)
    _paint_mouth(canvas, ink, top=0.26, middle=0.45, reach=0.24)
    canvas.fill(outline((-0.14, 0.2), (0.14, 0.2), (0.03, 0.34), (-0.03, 0.34)), coat.nose)
    _paint_whiskers(canvas, sitter, (0.3, 0.42), 1.0)


def _long_muzzle(canvas: Canvas, sitter: Sitter) -> None:
    coat, ink = sitter.coat, sitter.ink()
    lead = 0.14 * sitter.turn
    if sitter.rng.random() < 0.4:
        tongue = sitter.rng.uniform(0.95, 1.25)
        sitter.paint(canvas, ribbon(outline((0, 0.7), (lead, tongue)), 0.15, 0.17), coat.pink)
    half = outline((0, -0.12), (0.24, -0.05), (0.42, 0.35), (0.5, 0.66), (0.3, 0.93), (0, 0.9))
    snout = shifted(smooth(mirrored(half)), lead)
    sitter.paint(canvas, snout, coat.muzzle)
    front = canvas.moved(lead * 1.4, 0)
    _paint_mouth(front, ink, top=0.3, middle=0.68, reach=0.36)
    front.fill(smooth(outline((-0.24, 0.16), (0.24, 0.16), (0.14, 0.38), (-0.14, 0.38))), coat.nose)
    front.fill(ellipse(-0.07, 0.19, 0.07, 0.03), mix(coat.nose, WHITE, 0.6))


def _tiny_muzzle(canvas: Canvas, sitter: Sitter) -> None:
    coat = sitter.coat
    for side in (-1, 1):
        canvas.fill(ellipse(side * 0.16, 0.45, 0.22, 0.19), coat.muzzle)
    canvas.fill(outline((-0.13, 0.56), (0.13, 0.56), (0.11, 0.8), (-0.11, 0.8)), WHITE)
    canvas.stroke(outline((0, 0.56), (0, 0.8)), BLACK, 0.03)
    _paint_mouth(canvas, sitter.ink(), top=0.3, middle=0.48, reach=0.18)
    canvas.fill(ellipse(0, 0.29, 0.1, 0.07), coat.pink)


def _pointed_muzzle(canvas: Canvas, sitter: Sitter) -> None:
    coat, lead = sitter.coat, 0.16 * sitter.turn
    half = outline((0, 0.02), (0.3, 0.12), (0.34, 0.42), (0.16, 0.68), (0, 0.72))
    snout = shifted(smooth(mirrored(half)), 0.5 * lead)
    sitter.paint(canvas, snout, mix(coat.fur, coat.muzzle, 0.45))
    tip = canvas.moved(lead, 0)
    _paint_whiskers(tip, sitter, (0.14, 0.56), 0.6)
    tip.fill(ellipse(0, 0.52, 0.15, 0.13), coat.pink)
    tip.fill(ellipse(-0.04, 0.48, 0.04, 0.03), mix(coat.pink, WHITE, 0.6))


def _paint_mouth(canvas: Canvas, ink: Colour, *, top: float, middle: float, reach: float) -> None:
    canvas.stroke(outline((0, top), (0, middle)), ink, 0.04)
    for side in (-1, 1):
        curve = outline((0, middle), (0.5 * reach, middle + 0.3 * reach), (reach, middle - 0.05))
        canvas.stroke(smooth(sided(curve, side), closed=False), ink, 0.04)


def _paint_whiskers(canvas: Canvas, sitter: Sitter, root: tuple[float, float], length: float) -> None:
    colour = sitter.coat.line if sitter.rng.random() < 0.5 else mix(sitter.coat.muzzle, WHITE, 0.8)
    for side in (-1, 1):
        for slope in (-0.22, 0.02, 0.24):
            reach = length + sitter.jitter(0.12)
            end = (root[0] + reach, root[1] + reach * (slope + sitter.jitter(0.05)))
            bend = (root[0] + reach / 2, root[1] + reach * slope / 2 - 0.05)
            canvas.stroke(smooth(sided(outline(root, bend, end), side), closed=False), colour, 0.025)


def _curled_tail(canvas: Canvas, sitter: Sitter) -> None:
    lift = sitter.rng.uniform(0.8, 1.3)
    spine = outline(
        (-0.2, 0.1), (0.6, 0.1), (1.0, -0.4 * lift),
        (0.85, -1.1 * lift), (1.15, -1.5 * lift), (1.45, -1.2 * lift),
    )  # fmt: skip
    sitter.paint(canvas, ribbon(smooth(spine, closed=False), 0.14, 0.11), sitter.coat.fur)


def _thick_tail(canvas: Canvas, sitter: Sitter) -> None:
    lift = sitter.rng.uniform(0.5, 1.1)
    spine = smooth(outline((-0.2, 0.1), (0.45, -0.2 * lift), (0.8, -0.75 * lift)), closed=False)
    sitter.paint(canvas, ribbon(spine, 0.27, 0.13), sitter.coat.ear)


def _puff_tail(canvas: Canvas, sitter: Sitter) -> None:
    sitter.paint(canvas, ellipse(0.3, 0, 0.38, 0.36), sitter.coat.muzzle)


def _whip_tail(canvas: Canvas, sitter: Sitter) -> None:
    spine = outline((-0.2, 0.1), (0.6, 0.2), (1.1, -0.1), (1.5, 0.15), (1.9 + sitter.jitter(0.2), -0.3))
    canvas.fill(ribbon(smooth(spine, closed=False), 0.09, 0.03), mix(sitter.coat.pink, sitter.coat.fur, 0.3))


_ROUND = Ears(_round_ears, hang=False)

ANATOMIES: dict[str, Anatomy] = {
    "cat": Anatomy(
        head=outline(
            (0, -0.84), (0.5, -0.8), (0.9, -0.4), (1.06, 0.15), (0.82, 0.58), (0.42, 0.8), (0, 0.86)
        ),
        ears=Ears(_pointed_ears, hang=False),
        rare_ears=Ears(_folded_ears, hang=True),
        muzzle=_short_muzzle,
        slit_pupils=True,
        tail=_curled_tail,
        leg_length=0.9,
    ),
    "dog": Anatomy(
        head=outline(
            (0, -0.94), (0.5, -0.88), (0.86, -0.45), (0.9, 0.1), (0.74, 0.6), (0.42, 0.92), (0, 1.0)
        ),
        ears=Ears(_hanging_ears, hang=True),
        rare_ears=Ears(_bat_ears, hang=False),
        muzzle=_long_muzzle,
        slit_pupils=False,
        tail=_thick_tail,
        leg_length=1.1,
    ),
    "rabbit": Anatomy(
        head=outline(
            (0, -0.9), (0.46, -0.82), (0.82, -0.4), (0.94, 0.15), (0.8, 0.6), (0.42, 0.86), (0, 0.9)
        ),
        ears=Ears(_tall_ears, hang=False),
        rare_ears=Ears(_long_hanging_ears, hang=True),
        muzzle=_tiny_muzzle,
        slit_pupils=False,
        tail=_puff_tail,
        leg_length=0.7,
    ),
    "mouse": Anatomy(
        head=outline(
            (0, -0.82), (0.5, -0.74), (0.84, -0.3), (0.82, 0.2), (0.5, 0.6), (0.22, 0.84), (0, 0.88)
        ),
        ears=_ROUND,
        rare_ears=_ROUND,
        muzzle=_pointed_muzzle,
        slit_pupils=False,
        tail=_whip_tail,
        leg_length=0.6,
    ),
}
