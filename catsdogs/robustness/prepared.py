"""The last picture of each thread, prepared once for all that is made of it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from PIL import Image

from catsdogs.data.preparation import Pixels


class LastPrepared:
    """Remembers, in each thread, what was last made of a picture: many views of one come one after another.

    Args:
        make: What is made of it; nobody may write into its result.
    """

    def __init__(self, make: Callable[[Image.Image], Pixels]) -> None:
        self._make = make
        self._last = threading.local()

    def __call__(self, picture: Image.Image) -> Pixels:
        """Return what ``make`` returns for this very picture."""
        if getattr(self._last, "picture", None) is not picture:
            # The picture is kept, or another one could get the same identity.
            self._last.picture, self._last.pixels = picture, self._make(picture)
        pixels: Pixels = self._last.pixels
        return pixels
