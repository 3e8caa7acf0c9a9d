"""A canvas with a coordinate system of its own, and the outlines that are painted on it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Points = npt.NDArray[np.float64]

BLACK: Colour = (22, 20, 24)
WHITE: Colour = (250, 249, 245)


class Canvas:
    """A picture and the frame its painters measure in: x to the right, y down, its own unit and tilt."""

    def __init__(
        self,
        image: Image.Image,
        *,
        at: tuple[float, float] = (0.0, 0.0),
        unit_px: float = 1.0,
        degrees: float = 0.0,
        mirror: bool = False,
    ) -> None:
        self.image = image
        self.unit_px = unit_px
        self._pen = ImageDraw.Draw(image)
        self._at = np.asarray(at, dtype=np.float64)
        self._matrix = unit_px * _rotation(degrees) @ np.diag([-1.0 if mirror else 1.0, 1.0])

    def moved(self, x: float, y: float) -> Canvas:
        """Return the same picture in a frame whose origin lies at (x, y) of this one."""
        other = Canvas(self.image, unit_px=self.unit_px)
        other._at = self._matrix @ (x, y) + self._at
        other._matrix = self._matrix
        return other

    def fill(self, points: Points, colour: Colour) -> None:
        """Paint the inside of an outline."""
        self._pen.polygon(self._placed(points), fill=colour)

    def edge(self, points: Points, colour: Colour, width: float) -> None:
        """Paint the edge of an outline, ``width`` units wide; a width of 0 paints nothing."""
        if width > 0:
            self.stroke(np.concatenate([points, points[:2]]), colour, width)

    def stroke(self, points: Points, colour: Colour, width: float) -> None:
        """Paint an open line, ``width`` units wide."""
        self._pen.line(self._placed(points), fill=colour, width=self._width_px(width))

    @contextlib.contextmanager
    def inside(self, points: Points) -> Iterator[Canvas]:
        """Yield a canvas of the same frame; what is painted on it shows here within an outline only."""
        placed = np.reshape(self._placed(points), (-1, 2))
        left, top = (int(low) for low in np.clip(placed.min(axis=0), 0, np.subtract(self.image.size, 1)))
        right, bottom = (int(high) + 1 for high in np.clip(placed.max(axis=0), (left, top), self.image.size))
        part = Canvas(self.image.crop((left, top, right, bottom)), unit_px=self.unit_px)
        part._matrix, part._at = self._matrix, self._at - (left, top)
        yield part
        mask = Image.new("L", part.image.size)
        ImageDraw.Draw(mask).polygon((placed - (left, top)).ravel().tolist(), fill=255)
        self.image.paste(part.image, (left, top), mask)

    def _placed(self, points: Points) -> list[float]:
        placed: list[float] = (points @ self._matrix.T + self._at).ravel().tolist()
        return placed

    def _width_px(self, width: float) -> int:
        return max(1, round(width * self.unit_px))


def outline(*points: tuple[float, float]) -> Points:
    """Return corners as float64 (N, 2)."""
    return np.asarray(points, dtype=np.float64)


def ellipse(x: float, y: float, rx: float, ry: float, degrees: float = 0.0) -> Points:
    """Return an ellipse around (x, y), float64 (28, 2)."""
    return _CIRCLE * (rx, ry) @ _rotation(degrees).T + (x, y)


def smooth(corners: Points, *, closed: bool = True) -> Points:
    """Return a curve through the corners: a Catmull-Rom spline, six points a corner."""
    if closed:
        around = np.concatenate([corners[-1:], corners, corners[:2]])
    else:
        around = np.concatenate([2 * corners[:1] - corners[1:2], corners, 2 * corners[-1:] - corners[-2:-1]])
    windows = np.stack([around[i : len(around) - 3 + i] for i in range(4)], axis=1)
    curve = np.einsum("tk,skd->std", _SPLINE, windows).reshape(-1, 2)
    return curve if closed else np.concatenate([curve, corners[-1:]])


def mirrored(half: Points) -> Points:
    """Close a right half, told from top to bottom on x >= 0, with its mirror image."""
    return np.concatenate([half, half[-2:0:-1] * (-1.0, 1.0)])


def sided(points: Points, side: int) -> Points:
    """Return points told for the right side on the side that is asked for: 1 or -1."""
    return points * (float(side), 1.0)


def shifted(points: Points, x: float) -> Points:
    """Move points to the right."""
    return np.asarray(points + np.array([x, 0.0]))


def turned(points: Points, degrees: float, about: Sequence[float]) -> Points:
    """Rotate points."""
    return (points - about) @ _rotation(degrees).T + about


def ribbon(spine: Points, start: float, end: float) -> Points:
    """Return a band along a curve: its half width goes from ``start`` to ``end``, its tip is round."""
    along = np.gradient(spine, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    across = along[:, ::-1] * (-1.0, 1.0) * np.linspace(start, end, len(spine))[:, None]
    angle = math.degrees(math.atan2(along[-1, 1], along[-1, 0]))
    tip = turned(_TIP * end, angle, (0.0, 0.0)) + spine[-1]
    return np.concatenate([spine - across, tip, (spine + across)[::-1]])


def furry(points: Points, length: float, rng: np.random.Generator) -> Points:
    """Pull every other point of a closed outline outwards, up to ``length``: tufts of fur."""
    if length <= 0:
        return points
    along = np.roll(points, -1, axis=0) - np.roll(points, 1, axis=0)
    outward = along[:, ::-1] * (1.0, -1.0) / (np.linalg.norm(along, axis=1, keepdims=True) + 1e-9)
    pull = length * rng.uniform(0.2, 1.0, len(points)) * (np.arange(len(points)) % 2)
    return np.asarray(points + outward * pull[:, None])


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """Return ``a`` with this share of ``b`` stirred in."""
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


def brightness(colour: Colour) -> float:
    """Return the luma of a colour, 0 to 255."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def distance(a: Colour, b: Colour) -> float:
    """Return how far two colours lie apart, 0 to about 440."""
    return math.dist(a, b)


def _rotation(degrees: float) -> npt.NDArray[np.float64]:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[cos, -sin], [sin, cos]])


def _circle(count: int, first: float, last: float) -> Points:
    angles = np.radians(np.linspace(first, last, count, endpoint=False))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _spline(steps: int) -> npt.NDArray[np.float64]:
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    basis = np.array([[0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]]) / 2
    return np.concatenate([t**0, t, t**2, t**3], axis=1) @ basis


_CIRCLE = _circle(28, 0, 360)
_TIP = _circle(7, -90, 90)
_SPLINE = _spline(6)
