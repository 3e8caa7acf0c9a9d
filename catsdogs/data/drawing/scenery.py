"""What lies around an animal: backgrounds, clutter, things in front of it, light and the camera's faults."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from catsdogs.data.drawing.canvas import (
    BLACK,
    WHITE,
    Canvas,
    Colour,
    distance,
    ellipse,
    mix,
    outline,
    ribbon,
    smooth,
)

_LEAST_CONTRAST = 75.0
_BAND = 1 / 40
_SCENES = ("studio", "room", "outdoors", "pattern")


def paint_background(canvas: Canvas, fur: Colour, rng: np.random.Generator) -> None:
    """Paint a scene whose main colours stand off from the fur; the canvas spans 0 to 1 both ways."""
    far, near = _standing_off(fur, rng), _standing_off(fur, rng)
    scene = _SCENES[rng.integers(len(_SCENES))]
    canvas.fill(outline((-1, -1), (2, -1), (2, 2), (-1, 2)), far)
    if scene == "studio":
        _paint_gradient(canvas, far, near)
    elif scene == "room":
        _paint_room(canvas, far, near, rng)
    elif scene == "outdoors":
        _paint_outdoors(canvas, far, near, rng)
    else:
        _paint_wallpaper(canvas, mix(far, near, 0.5), rng)
    for _ in range(rng.integers(1, 7)):
        _paint_thing(canvas, mix(_any_colour(rng), far, rng.uniform(0.2, 0.7)), rng)


def paint_foreground(canvas: Canvas, rng: np.random.Generator) -> None:
    """Now and then put something between the animal and us, near an edge of the picture."""
    choice = rng.random()
    colour = _any_colour(rng)
    if choice < 0.12:
        for x in rng.uniform(-0.1, 1.1, 14):
            tip = (x + rng.uniform(-0.12, 0.12), 1 - rng.uniform(0.08, 0.3))
            canvas.fill(
                outline((x - 0.02, 1.02), tip, (x + 0.02, 1.02)), mix(colour, BLACK, rng.uniform(0, 0.3))
            )
    elif choice < 0.2:
        x = rng.uniform(0.0, 1.0)
        canvas.fill(ellipse(x, 1.02, 0.16, 0.16), colour)
        canvas.fill(ellipse(x - 0.04, 0.96, 0.04, 0.03), mix(colour, WHITE, 0.6))
    elif choice < 0.28:
        x = rng.choice([rng.uniform(0.0, 0.2), rng.uniform(0.8, 1.0)])
        canvas.stroke(outline((x, -0.5), (x + rng.uniform(-0.1, 0.1), 1.5)), colour, rng.uniform(0.02, 0.05))


def photographed(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return the picture as a camera might have seen it: light, contrast, colour cast, blur and noise."""
    if rng.random() < 0.35:
        image = image.filter(ImageFilter.BoxBlur(float(rng.uniform(0.3, 1.0)) * min(image.size) / 160))
    width, height = image.size
    light = rng.uniform(0.8, 1.2, (2, 2)).astype(np.float32)
    down, across = np.linspace(0, 1, height, dtype=np.float32), np.linspace(0, 1, width, dtype=np.float32)
    field = np.outer(1 - down, light[0, 0] * (1 - across) + light[0, 1] * across)
    field += np.outer(down, light[1, 0] * (1 - across) + light[1, 1] * across)
    field *= np.float32(rng.uniform(0.75, 1.15))
    level = np.float32(rng.uniform(-28, 28))
    grain = rng.standard_normal((height, width), dtype=np.float32) * np.float32(rng.uniform(0, 7)) + (
        128 + level
    )
    cast = rng.uniform(0.93, 1.07, 3).astype(np.float32)
    # Plane by plane: numpy is slow along an axis of three.
    planes = np.asarray(image).transpose(2, 0, 1).astype(np.float32, order="C")
    planes -= 128
    planes *= field
    planes += grain
    planes *= cast[:, None, None]
    np.clip(planes, 0, 255, out=planes)
    return Image.fromarray(np.ascontiguousarray(planes.astype(np.uint8).transpose(1, 2, 0)))


def _standing_off(fur: Colour, rng: np.random.Generator) -> Colour:
    for _ in range(20):
        colour = _any_colour(rng)
        if distance(colour, fur) > _LEAST_CONTRAST:
            return colour
    return WHITE if sum(fur) < 380 else BLACK


def _any_colour(rng: np.random.Generator) -> Colour:
    """Return a colour from dark to light, seldom a shrill one."""
    grey = rng.uniform(35, 235)
    red, green, blue = (int(value) for value in np.clip(grey + rng.normal(0, 27, 3), 0, 255))
    return red, green, blue


def _paint_gradient(canvas: Canvas, far: Colour, near: Colour) -> None:
    for y in np.arange(0, 1, _BAND):
        strip = outline((-1, y), (2, y), (2, y + _BAND), (-1, y + _BAND))
        canvas.fill(strip, mix(far, near, 0.7 * float(y)))


def _paint_room(canvas: Canvas, far: Colour, near: Colour, rng: np.random.Generator) -> None:
    floor = rng.uniform(0.55, 0.8)
    canvas.fill(outline((-1, floor), (2, floor), (2, 2), (-1, 2)), near)
    canvas.fill(
        outline((-1, floor - 0.025), (2, floor - 0.025), (2, floor), (-1, floor)), mix(far, WHITE, 0.5)
    )
    x, y, width, height = (
        rng.uniform(-0.1, 0.7),
        rng.uniform(0.02, 0.2),
        rng.uniform(0.2, 0.4),
        rng.uniform(0.2, 0.35),
    )
    frame = outline((x, y), (x + width, y), (x + width, y + height), (x, y + height))
    canvas.fill(frame, mix(_any_colour(rng), far, 0.4))
    canvas.edge(frame, mix(far, BLACK, 0.4), 0.015)
    if rng.random() < 0.5:
        canvas.fill(ellipse(rng.uniform(0.2, 0.8), 0.95, 0.5, 0.14), mix(near, _any_colour(rng), 0.5))


def _paint_outdoors(canvas: Canvas, far: Colour, near: Colour, rng: np.random.Generator) -> None:
    canvas.fill(ellipse(rng.uniform(0, 1), rng.uniform(0.05, 0.25), 0.08, 0.08), mix(far, WHITE, 0.6))
    for share in (0.35, 0.7, 1.0):
        x, y = np.linspace(-0.6, 1.6, 7), 0.35 + 0.35 * share + rng.uniform(-0.1, 0.1, 7)
        ridge = smooth(np.stack([x, y], axis=1), closed=False)
        canvas.fill(np.concatenate([ridge, outline((1.6, 2), (-0.6, 2))]), mix(far, near, share))
    for x, y in rng.uniform((0, 0.75), (1, 1), (16, 2)):
        canvas.stroke(outline((x, y), (x + 0.01, y - 0.04)), mix(near, BLACK, 0.25), 0.008)


def _paint_wallpaper(canvas: Canvas, colour: Colour, rng: np.random.Generator) -> None:
    step = rng.uniform(0.1, 0.2)
    places = np.arange(-0.5 * step, 1 + step, step)
    if rng.random() < 0.5:
        slant = rng.uniform(-0.5, 0.5)
        for x in np.arange(-0.5, 1.5, step):
            canvas.stroke(outline((x, 0), (x + slant, 1)), colour, 0.4 * step)
    else:
        for i, x in enumerate(places):
            for y in places:
                canvas.fill(ellipse(x, y + 0.5 * step * (i % 2), 0.22 * step, 0.22 * step)[::3], colour)


def _paint_thing(canvas: Canvas, colour: Colour, rng: np.random.Generator) -> None:
    """Paint clutter, shapes among it that look like ears, tails and whiskers."""
    x, y = rng.uniform(-0.05, 1.05, 2)
    size, shape = rng.uniform(0.05, 0.16), rng.integers(5)
    if shape == 0:
        canvas.fill(
            outline((x - size, y), (x + rng.uniform(-0.4, 0.4) * size, y - 2 * size), (x + size, y)), colour
        )
    elif shape == 1:
        canvas.fill(ellipse(x, y, size * 0.6, size * 1.2, rng.uniform(0, 180)), colour)
    elif shape == 2:
        canvas.fill(ellipse(x, y, size, size), colour)
    elif shape == 3:
        corners = outline((x, y), (x + size, y - size), (x + 2.5 * size, y + rng.uniform(-2, 2) * size))
        canvas.fill(ribbon(smooth(corners, closed=False), 0.3 * size, 0.15 * size), colour)
    else:
        for slope in rng.uniform(-0.5, 0.5, 3):
            canvas.stroke(outline((x, y), (x + 2.5 * size, y + 2.5 * size * slope)), colour, 0.008)
