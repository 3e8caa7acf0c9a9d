"""Anatomy: what makes a kind of animal its kind; and the sitter, one animal about to be drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from catsdogs.data.drawing.canvas import BLACK, WHITE, Canvas, Colour, Points, brightness, mix
from catsdogs.data.drawing.coats import Coat


@dataclass(frozen=True)
class Sitter:
    """One animal about to be drawn: how it is built, how it looks, how it holds its head.

    Attributes:
        anatomy: What makes it its kind.
        coat: What it shares with every kind.
        rng: The source of the strokes still to be drawn.
        turn: Of the head, -1 (to the left) to 1.
        nod: Of the head, -1 (up) to 1.
    """

    anatomy: Anatomy
    coat: Coat
    rng: np.random.Generator
    turn: float
    nod: float

    def paint(self, canvas: Canvas, points: Points, colour: Colour) -> None:
        """Fill an outline and draw its edge in the line style of this animal."""
        canvas.fill(points, colour)
        canvas.edge(points, self.coat.line, self.coat.line_width)

    def jitter(self, spread: float) -> float:
        """Return a random number around 0."""
        return float(self.rng.uniform(-spread, spread))

    def face(self, canvas: Canvas) -> Canvas:
        """Return the frame of the face, which a turn of the head carries along."""
        return canvas.moved(0.22 * self.turn, 0.14 * self.nod)

    def back_of_head(self, canvas: Canvas) -> Canvas:
        """Return the frame of the ears, which a turn of the head carries the other way."""
        return canvas.moved(-0.08 * self.turn, -0.06 * self.nod)

    def ink(self) -> Colour:
        """Return the colour of a thin line that shows on the muzzle."""
        return BLACK if brightness(self.coat.muzzle) > 95 else mix(self.coat.muzzle, WHITE, 0.7)


Part = Callable[[Canvas, Sitter], None]


@dataclass(frozen=True)
class Ears:
    """A painter of both ears.

    Attributes:
        paint: The painter.
        hang: They lie over the head instead of behind it.
    """

    paint: Part
    hang: bool


@dataclass(frozen=True)
class Anatomy:
    """What makes a kind: the only thing in a picture that depends on it.

    Attributes:
        head: Right half of the head's outline, top to bottom, in head radii.
        ears: What most of the kind have.
        rare_ears: What a few have, so that ears alone do not settle it: a cat's fold, a dog's stand up.
        muzzle: Painter of muzzle, nose, mouth and whiskers.
        slit_pupils: Vertical slits instead of round pupils.
        tail: Painter of the tail, which leaves the body at the origin to the right.
        leg_length: In head radii.
    """

    head: Points
    ears: Ears
    rare_ears: Ears
    muzzle: Part
    slit_pupils: bool
    tail: Part
    leg_length: float
