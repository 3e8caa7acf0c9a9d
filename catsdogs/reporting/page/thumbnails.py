"""Small pictures inside the page, each read once however often it is shown."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable

from PIL import Image

SIDE_PX = 132
_QUALITY = 72

Opened = Callable[[str], Image.Image | None]
"""Opens a picture by its id; None where it cannot be read any more."""


class Thumbnails:
    """Makes and remembers them.

    Args:
        opened: Opens a picture; any size from ``SIDE_PX`` up will do.
    """

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._known: dict[str, str] = {}

    def source(self, picture: str) -> str:
        """Return a ``data:`` address of a JPEG, or an empty text where the picture cannot be had."""
        if picture not in self._known:
            self._known[picture] = self._make(picture)
        return self._known[picture]

    def _make(self, picture: str) -> str:
        opened = self._opened(picture)
        if opened is None:
            return ""
        small = opened.convert("RGB")
        small.thumbnail((SIDE_PX, SIDE_PX), Image.Resampling.BILINEAR)
        written = io.BytesIO()
        small.save(written, format="JPEG", quality=_QUALITY)
        return f"data:image/jpeg;base64,{base64.b64encode(written.getvalue()).decode('ascii')}"
