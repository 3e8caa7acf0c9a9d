"""The painter of every animal: head, coat, body, and the poses they are put together in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from catsdogs.data.drawing.anatomy import Sitter
from catsdogs.data.drawing.canvas import (
    BLACK,
    WHITE,
    Canvas,
    Colour,
    Points,
    ellipse,
    furry,
    mirrored,
    mix,
    outline,
    sided,
    smooth,
)

_RARE_EARS, _ASLEEP = 0.12, 0.08
_BODY_PATTERNS = ("stripes", "patches", "blaze")
_LEAST_SIZE, _MOST_SIZE = 0.66, 1.0
_OFF_CENTRE = 0.1
_COLLARS: tuple[Colour, ...] = (
    (206, 54, 54), (50, 98, 190), (48, 150, 96), (240, 190, 50), (150, 80, 170), (236, 120, 160),
)  # fmt: skip


@dataclass(frozen=True)
class Pose:
    """How an animal holds itself, in a frame whose origin is the head's centre and whose unit its radius.

    Attributes:
        paint: Its painter.
        centre: The middle of what must be seen of it.
        extent: The longer side of that.
        tilt: Largest rotation in degrees.
        share: How often it occurs.
    """

    paint: Callable[[Canvas, Sitter], None]
    centre: tuple[float, float]
    extent: float
    tilt: float
    share: float


def paint_animal(image: Image.Image, sitter: Sitter) -> None:
    """Paint one animal in some pose, size and place, where a crop to the central square still shows it."""
    rng, short = sitter.rng, min(image.size)
    pose = _POSES[rng.choice(len(_POSES), p=[pose.share for pose in _POSES])]
    middle = np.asarray(image.size) / 2 + rng.uniform(-_OFF_CENTRE, _OFF_CENTRE, 2) * short
    canvas = Canvas(
        image,
        at=(middle[0], middle[1]),
        unit_px=short * rng.uniform(_LEAST_SIZE, _MOST_SIZE) / pose.extent,
        degrees=sitter.jitter(pose.tilt),
        mirror=rng.random() < 0.5,
    )
    pose.paint(canvas.moved(-pose.centre[0], -pose.centre[1]), sitter)


def _portrait(canvas: Canvas, sitter: Sitter) -> None:
    shoulders = outline((0, 0.5), (0.7, 0.6), (1.2, 1.4), (1.5, 2.6), (1.6, 6.0), (0, 6.0))
    _paint_body(canvas, sitter, smooth(mirrored(shoulders)))
    _paint_collar(canvas, sitter)
    _paint_head(canvas, sitter)


def _sitting(canvas: Canvas, sitter: Sitter) -> None:
    length = sitter.anatomy.leg_length
    floor = 1.6 + length
    sitter.anatomy.tail(canvas.moved(0.8, floor - 0.3), sitter)
    half = outline((0, 0.4), (0.5, 0.6), (0.8, 1.2), (1.12, floor - 0.4), (0.8, floor), (0, floor + 0.05))
    _paint_body(canvas, sitter, smooth(mirrored(half)))
    for side in (-1, 1):
        sitter.paint(canvas, ellipse(side * 0.88, floor, 0.42, 0.2), sitter.coat.fur)
        _paint_leg(canvas, sitter, side * 0.32, floor - 0.5 - 0.5 * length, floor + 0.06)
    _paint_collar(canvas, sitter)
    _paint_head(canvas, sitter)


def _standing(canvas: Canvas, sitter: Sitter) -> None:
    floor = 1.6 + sitter.anatomy.leg_length
    sitter.anatomy.tail(canvas.moved(2.7, 0.75), sitter)
    for x in (0.75, 2.5):
        _paint_leg(canvas, sitter, x, 1.1, floor - 0.12, shade=0.22)
    half = outline(
        (0.1, 0.3), (1.4, 0.4), (2.5, 0.35), (2.95, 0.9), (2.5, 1.65), (1.4, 1.6), (0.3, 1.75), (-0.1, 1.0)
    )
    _paint_body(canvas, sitter, smooth(half))
    for x in (0.3, 2.15):
        _paint_leg(canvas, sitter, x, 1.2, floor)
    _paint_head(canvas, sitter)


def _lying(canvas: Canvas, sitter: Sitter) -> None:
    sitter.anatomy.tail(canvas.moved(2.35, 1.15), sitter)
    body = outline(
        (0.0, 0.1), (1.2, -0.05), (2.2, 0.3), (2.6, 1.1), (2.1, 1.6), (0.5, 1.65), (-0.8, 1.5), (-0.8, 0.6)
    )
    _paint_body(canvas, sitter, smooth(body))
    for x in (-0.5, 0.35):
        sitter.paint(canvas, ellipse(x, 1.5 + sitter.jitter(0.04), 0.4, 0.2), sitter.coat.muzzle)
    _paint_head(canvas, sitter)


_POSES = (
    Pose(_portrait, centre=(0.0, 0.0), extent=3.1, tilt=18, share=0.55),
    Pose(_sitting, centre=(0.2, 0.7), extent=4.2, tilt=8, share=0.2),
    Pose(_standing, centre=(1.3, 0.6), extent=4.6, tilt=6, share=0.13),
    Pose(_lying, centre=(0.9, 0.2), extent=4.2, tilt=6, share=0.12),
)


def _paint_head(canvas: Canvas, sitter: Sitter) -> None:
    anatomy, coat = sitter.anatomy, sitter.coat
    breadth = (1 + sitter.jitter(0.1), 1 + sitter.jitter(0.07))
    head = furry(smooth(mirrored(anatomy.head * breadth)), coat.tuft, sitter.rng)
    ears = anatomy.rare_ears if sitter.rng.random() < _RARE_EARS else anatomy.ears
    if not ears.hang:
        ears.paint(canvas, sitter)
    canvas.fill(head, coat.fur)
    if coat.pattern != "plain":
        with canvas.inside(head) as skin:
            _paint_pattern(sitter.face(skin), sitter)
    canvas.edge(head, coat.line, coat.line_width)
    if ears.hang:
        ears.paint(canvas, sitter)
    face = sitter.face(canvas)
    anatomy.muzzle(face.moved(0.08 * sitter.turn, 0.05 * sitter.nod), sitter)
    _paint_eyes(face, sitter)


def _paint_pattern(canvas: Canvas, sitter: Sitter) -> None:
    """Paint markings on a head; what leaves it is cut off."""
    coat, rng = sitter.coat, sitter.rng
    if coat.pattern == "stripes":
        for x in (-0.3, 0.0, 0.3):
            canvas.fill(outline((x - 0.07, -1.1), (x + 0.07, -1.1), (0.8 * x, -0.5)), coat.second)
        for y in (0.0, 0.28):
            stripe = outline((1.3, y - 0.06), (1.3, y + 0.1), (0.72, y + 0.08))
            canvas.fill(stripe, coat.second)
            canvas.fill(sided(stripe, -1), coat.second)
    elif coat.pattern == "patches":
        x, y = rng.choice([-1, 1]) * rng.uniform(0.35, 0.55), rng.uniform(-0.3, -0.1)
        canvas.fill(ellipse(x, y, rng.uniform(0.4, 0.6), rng.uniform(0.4, 0.65)), coat.second)
    elif coat.pattern == "blaze":
        half = outline((0, -1.2), (0.14, -1.0), (0.16, 0.0), (0.5, 0.7), (0, 1.2))
        canvas.fill(smooth(mirrored(half)), coat.muzzle)
    elif coat.pattern == "mask":
        canvas.fill(ellipse(0, 0.55, 0.85, 0.7), coat.second)


def _paint_eyes(canvas: Canvas, sitter: Sitter) -> None:
    rng = sitter.rng
    apart, radius = rng.uniform(0.38, 0.46), rng.uniform(0.18, 0.23)
    y, look, wide = -0.16 + sitter.jitter(0.05), sitter.jitter(0.05), rng.uniform(0.3, 0.55)
    asleep = rng.random() < _ASLEEP
    for x in (-apart, apart):
        if asleep:
            lid = outline((x - radius, y), (x, y + 0.12), (x + radius, y))
            canvas.stroke(smooth(lid, closed=False), sitter.coat.line, 0.06)
        else:
            _paint_eye(canvas.moved(x, y), sitter, radius, look, wide)


def _paint_eye(canvas: Canvas, sitter: Sitter, radius: float, look: float, wide: float) -> None:
    """Paint an open eye; its pupil lies ``look`` beside the middle and is as ``wide`` as the light asks."""
    coat = sitter.coat
    canvas.fill(ellipse(0, 0, radius + 0.035, 0.95 * radius + 0.035), mix(coat.line, BLACK, 0.5))
    canvas.fill(ellipse(0, 0, radius, 0.95 * radius), coat.iris)
    across, along = (0.3 * wide, 0.92) if sitter.anatomy.slit_pupils else (0.25 + wide, 0.25 + wide)
    canvas.fill(ellipse(look, 0, radius * across, radius * along), BLACK)
    canvas.fill(ellipse(look - 0.05, -0.07, 0.045, 0.045), WHITE)


def _paint_body(canvas: Canvas, sitter: Sitter, body: Points) -> None:
    coat = sitter.coat
    body = furry(body, coat.tuft, sitter.rng)
    canvas.fill(body, mix(coat.fur, BLACK, 0.06))
    if coat.pattern in _BODY_PATTERNS:
        with canvas.inside(body) as skin:
            _paint_body_pattern(skin, sitter, left=body[:, 0].min(), right=body[:, 0].max())
    canvas.edge(body, coat.line, coat.line_width)


def _paint_body_pattern(canvas: Canvas, sitter: Sitter, *, left: float, right: float) -> None:
    coat, rng = sitter.coat, sitter.rng
    if coat.pattern == "stripes":
        for x in np.linspace(left, right, 7)[1:-1]:
            canvas.fill(outline((x - 0.12, 0), (x + 0.12, 0), (x + sitter.jitter(0.1), 1.5)), coat.second)
    elif coat.pattern == "patches":
        for x, y in rng.uniform((left, 0.5), (right, 1.8), (2, 2)):
            canvas.fill(ellipse(x, y, 0.55, 0.4, sitter.jitter(40)), coat.second)
    elif coat.pattern == "blaze":
        canvas.fill(ellipse(0, 1.3, 0.5, 0.8), coat.muzzle)


def _paint_leg(
    canvas: Canvas, sitter: Sitter, x: float, top: float, floor: float, shade: float = 0.0
) -> None:
    coat = sitter.coat
    x += sitter.jitter(0.06)
    leg = outline((x - 0.22, top), (x - 0.2, floor), (x + 0.2, floor), (x + 0.22, top))
    colour = mix(coat.fur, BLACK, 0.06 + shade)
    canvas.fill(leg, colour)
    if coat.line_width:
        canvas.stroke(leg[:2], coat.line, coat.line_width)
        canvas.stroke(leg[2:], coat.line, coat.line_width)
    paw = colour if coat.pattern == "plain" else mix(coat.muzzle, BLACK, shade)
    sitter.paint(canvas, ellipse(x - 0.04, floor, 0.27, 0.15), paw)


def _paint_collar(canvas: Canvas, sitter: Sitter) -> None:
    rng = sitter.rng
    if rng.random() < 0.55:
        return
    colour = _COLLARS[rng.integers(len(_COLLARS))]
    band = smooth(outline((-0.75, 0.75), (-0.4, 1.03), (0, 1.12), (0.4, 1.03), (0.75, 0.75)), closed=False)
    canvas.stroke(band, colour, 0.2)
    if rng.random() < 0.6:
        sitter.paint(canvas, ellipse(0, 1.3, 0.14, 0.14), _COLLARS[3])
