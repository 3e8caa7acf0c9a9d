"""A page of thumbnails with their answers, the doubtful ones first: what to look at after a prediction."""

from __future__ import annotations

import base64
import html
import io
from bisect import insort
from pathlib import Path

from PIL import Image

from catsdogs.core.errors import PictureError
from catsdogs.core.files import write_text
from catsdogs.core.printable import printable
from catsdogs.core.records import ImageRecord
from catsdogs.data.stream import read_picture
from catsdogs.inference.writers.rows import Row

MOST_PICTURES = 100
_THUMBNAIL_PX = 200
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 14px/1.3 system-ui, sans-serif; margin: 1.5em; background: #fff; color: #222 }}
main {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(200px, 1fr)); gap: 1em }}
figure {{ margin: 0 }}
img {{ height: 200px; width: 100%; object-fit: contain; background: #f2f2f2 }}
figcaption {{ overflow-wrap: anywhere }} small {{ color: #666 }}
</style>
<h1>{title}</h1><main>
{figures}
</main></html>
"""
_FIGURE = (
    '<figure><img alt="" src="data:image/jpeg;base64,{data}">'
    "<figcaption><b>{label}</b> {share}<br><small>{name}</small></figcaption></figure>"
)


class ContactSheet:
    """Keeps the least sure answers, a hundred at most, and draws them into one file at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._doubtful: list[tuple[float, int, ImageRecord, str]] = []
        self._seen = 0

    def add(self, record: ImageRecord, row: Row) -> None:
        """Consider one picture; unreadable ones have no thumbnail."""
        self._seen += 1
        if row.best:
            label, share = row.best[0]
            insort(self._doubtful, (share, self._seen, record, label), key=lambda one: one[:2])
            del self._doubtful[MOST_PICTURES:]

    def save(self) -> None:
        """Read the pictures again, small, and write the page."""
        tiles = [
            (thumbnail, label, f"{share:.1%}", printable(record.id))
            for share, _, record, label in self._doubtful
            if (thumbnail := _thumbnail(record)) is not None
        ]
        title = f"The {len(tiles)} least sure of {self._seen:,} pictures, the most doubtful first"
        if self._path.suffix.lower() == ".html":
            figures = "\n".join(
                _FIGURE.format(
                    data=_jpeg(picture), label=html.escape(label), share=share, name=html.escape(name)
                )
                for picture, label, share, name in tiles
            )
            write_text(self._path, _PAGE.format(title=html.escape(title), figures=figures))
            return
        from catsdogs.reporting.figures import draw_gallery, save_figure

        pictures = [picture for picture, *_ in tiles] or [Image.new("RGB", (8, 8), "white")]
        captions = [f"{label} {share}  {_short(name)}" for _, label, share, name in tiles] or ["no picture"]
        save_figure(draw_gallery(pictures, captions, title), self._path)


def _thumbnail(record: ImageRecord) -> Image.Image | None:
    try:
        picture = read_picture(record, at_least_px=(_THUMBNAIL_PX, _THUMBNAIL_PX))
    except (PictureError, MemoryError):
        return None  # it could be read a moment ago; the page stands without it
    picture.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX), Image.Resampling.BILINEAR)
    return picture


def _jpeg(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _short(name: str) -> str:
    return name if len(name) <= 20 else f"…{name[-19:]}"
