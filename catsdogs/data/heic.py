"""HEIC, the photos of phones, through the extra ``heic`` (pillow-heif); without it a reason that says so."""

from __future__ import annotations

import io

from PIL import ImageFile

from catsdogs.core.errors import PictureError

# The brands of the ISO file type box that hold HEVC pictures; AVIF is Pillow's own.
_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"})
_COMPATIBLE_BYTES = 64


def is_heic(data: bytes) -> bool:
    """Whether a file says that it holds HEVC pictures."""
    if data[4:8] != b"ftyp":
        return False
    if data[8:12] in _BRANDS:
        return True
    listed = data[16 : min(int.from_bytes(data[:4], "big"), _COMPATIBLE_BYTES)]
    return data[8:12] in (b"mif1", b"msf1") and any(brand in listed for brand in _BRANDS)


def open_heic(data: bytes) -> ImageFile.ImageFile:
    """Open a HEIC picture; only its header is read.

    Raises:
        PictureError: The extra is not installed.
    """
    try:
        from pillow_heif.as_plugin import HeifImageFile
    except ImportError:
        raise PictureError("HEIC needs the extra: pip install 'catsdogs[heic]'") from None
    picture: ImageFile.ImageFile = HeifImageFile(io.BytesIO(data))  # type: ignore[no-untyped-call]
    return picture
