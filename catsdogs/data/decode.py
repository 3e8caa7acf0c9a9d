"""Untrusted bytes -> upright RGB picture, within limits.

Formats are an allow-list of decoders that start no program, open no other file and tell the size of a picture
before they allocate it. Limits are checked on that size. Large pictures wait for their share of a memory
budget that all threads of the process hold together.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import io
import logging
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image, ImageFile, UnidentifiedImageError, _imaging
from PIL.JpegImagePlugin import JpegImageFile

from catsdogs.core.errors import PictureError
from catsdogs.data import memory
from catsdogs.data.colours import to_rgb
from catsdogs.data.heic import is_heic, open_heic
from catsdogs.data.memory import too_many_pixels

# Beside JPEG, in the order they are tried; TGA has no magic number and accepts the most, so it comes last.
# Left out: EPS, WMF and PDF start programs or are one; ICO, CUR and BLP decode an inner picture before its
# size can be judged; the rest are not formats of photos.
FORMATS = ("PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "QOI", "DDS", "PCX", "TGA")

# Bytes a pixel from the decoder's picture to the upright RGB one, by mode, and what a decoder holds beside
# that; from the peak memory of pictures of 24 million pixels, turned and with alpha where they can be.
_MODE_BYTES = {"RGB": 8, "L": 9, "LA": 16, "PA": 16, "I": 16, "F": 16}
_OTHER_MODE_BYTES = 12
_DECODER_BYTES = {"WEBP": 12, "AVIF": 10, "HEIF": 10, "JPEG2000": 16}

_JPEG_MAGIC = b"\xff\xd8\xff"
_JPEG_START_OF_SCAN = b"\xff\xda"
_EXIF_ORIENTATION = 0x0112
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PILLOW_WARNINGS = ("ignore", None, Warning, re.compile(r"PIL\."), 0)


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """What a picture may be before it is refused.

    Attributes:
        max_bytes: Size of the file.
        max_pixels: Width x height of what is decoded.
        max_jpeg_pixels: Width x height of a JPEG before it is scaled down in decoding.
        max_slow_pixels: Width x height where Pillow decodes in Python, which takes 2 seconds a million.
        max_scans: Passes over a progressive JPEG, of which each touches every pixel; encoders use up to 20.
        max_side_ratio: Long side / short side.
        max_seconds: Time for one file that is decoded apart (``data.isolation``); the others are known to be
            quick.
    """

    max_bytes: int = 128 * 2**20
    max_pixels: int = 50_000_000
    max_jpeg_pixels: int = 250_000_000
    max_slow_pixels: int = 1_000_000
    max_scans: int = 200
    max_side_ratio: float = 1000.0
    max_seconds: float = 3.5


_DEFAULT_LIMITS = DecodeLimits()


@dataclass(frozen=True, slots=True)
class Header:
    """What is known about a picture before its pixels are decoded.

    Attributes:
        format: Pillow's name of it.
        size: (width, height) of the file, before anything is scaled.
        scans: Passes over a JPEG; 1 for other formats.
        in_python: Whether Pillow decodes it in Python.
    """

    format: str
    size: tuple[int, int]
    scans: int
    in_python: bool


def _go_on(_: Header) -> None:
    """Have nothing against decoding the pixels."""


def decode(
    data: bytes,
    *,
    at_least_px: tuple[int, int] | None = None,
    limits: DecodeLimits = _DEFAULT_LIMITS,
    before_pixels: Callable[[Header], None] = _go_on,
) -> Image.Image:
    """Decode a picture, turn it upright and convert it to RGB; transparency becomes white.

    Args:
        data: A whole file.
        at_least_px: (width, height) that views are resized to. A much larger picture comes smaller, divided
            by a whole number, but keeps twice these sides: the antialiased resize that follows still has
            pixels to average, and the last block, if only partly filled, shifts that edge of the view by less
            than half a pixel. A JPEG is scaled while it is decoded. None asks for every pixel.
        limits: What to refuse.
        before_pixels: Called when the header is known; a ``PictureError`` that it raises ends the work.

    Raises:
        PictureError: With a short reason, figures in brackets; nothing else is raised.
    """
    _silence()
    try:
        return _decode(data, at_least_px, limits, before_pixels)
    except PictureError:
        raise
    except UnidentifiedImageError:
        raise PictureError("not a picture of an allowed format") from None
    except Image.DecompressionBombError:
        raise PictureError("too many pixels") from None
    except MemoryError:
        raise PictureError("not enough memory") from None
    except Exception as error:
        truncated = isinstance(error, EOFError) or "truncated" in str(error).lower()
        raise PictureError("truncated" if truncated else "damaged") from error


def _decode(
    data: bytes,
    at_least_px: tuple[int, int] | None,
    limits: DecodeLimits,
    before_pixels: Callable[[Header], None],
) -> Image.Image:
    if not data:
        raise PictureError("empty file")
    if len(data) > limits.max_bytes:
        raise PictureError(f"too many bytes ({len(data)})")
    picture = _open(data)
    full_size = picture.size
    scans = _count_scans(picture, data)
    in_python = any(tile.codec_name in Image.DECODERS for tile in picture.tile)
    header = Header(picture.format or "", full_size, scans, in_python)
    _check_header(header, limits)
    before_pixels(header)
    if isinstance(picture, JpegImageFile) and at_least_px:
        picture.draft(None, _sides_to_keep(at_least_px, _orientation(picture)))
    if picture.width * picture.height > limits.max_pixels:
        raise too_many_pixels(full_size)
    with memory.BUDGET.share(_bytes_needed(picture, full_size, scans), full_size):
        picture.load()
        orientation = _orientation(picture)
        return _upright(_shrunk(to_rgb(picture), at_least_px, orientation), orientation)


def _open(data: bytes) -> ImageFile.ImageFile:
    """Open a picture; only its header is read."""
    if data.startswith(_JPEG_MAGIC):
        # Image.open refuses sizes that a JPEG may have before it is scaled down, and makes a file of several
        # frames (MPO) one that cannot be scaled.
        return JpegImageFile(io.BytesIO(data))
    if is_heic(data):
        return open_heic(data)
    return Image.open(io.BytesIO(data), formats=FORMATS)


def _check_header(header: Header, limits: DecodeLimits) -> None:
    width, height = header.size
    if max(width, height) > limits.max_side_ratio * min(width, height):
        raise PictureError(f"side ratio too large ({width}x{height})")
    if width * height > limits.max_jpeg_pixels:
        raise too_many_pixels(header.size)
    if header.scans > limits.max_scans:
        raise PictureError(f"too many scans ({header.scans})")
    if header.in_python and width * height > limits.max_slow_pixels:
        raise too_many_pixels(header.size)


def _count_scans(picture: ImageFile.ImageFile, data: bytes) -> int:
    """Return how often a JPEG passes over its pixels; 1 is a plain photo, or no JPEG."""
    if not isinstance(picture, JpegImageFile) or picture.fp is None:
        return 1
    first_scan = data.rfind(_JPEG_START_OF_SCAN, 0, picture.fp.tell())
    components_in_scan = data[first_scan + 4]
    if components_in_scan == picture.layers and "progressive" not in picture.info:
        return 1
    return max(2, data.count(_JPEG_START_OF_SCAN, first_scan))


def _bytes_needed(picture: ImageFile.ImageFile, full_size: tuple[int, int], scans: int) -> int:
    """Estimate the peak memory of decoding and converting a picture of which the header is known."""
    a_pixel = _MODE_BYTES.get(picture.mode, _OTHER_MODE_BYTES) + _DECODER_BYTES.get(picture.format or "", 0)
    needed = picture.width * picture.height * a_pixel
    if isinstance(picture, JpegImageFile) and scans > 1:
        # libjpeg keeps two bytes for every coefficient of the full size until the last scan.
        needed += full_size[0] * full_size[1] * 2 * picture.layers
    return needed


def _sides_to_keep(at_least_px: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Return the (width, height) that is sharp enough, of the picture before it is turned."""
    width, height = at_least_px
    return (2 * height, 2 * width) if orientation >= 5 else (2 * width, 2 * height)


def _shrunk(picture: Image.Image, at_least_px: tuple[int, int] | None, orientation: int) -> Image.Image:
    """Average whole blocks of pixels where enough of them remain."""
    if at_least_px is None:
        return picture
    width, height = _sides_to_keep(at_least_px, orientation)
    factor = min(picture.width // width, picture.height // height)
    return picture.reduce(factor) if factor > 1 else picture


def _orientation(picture: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 (upright) where it is absent or broken."""
    with contextlib.suppress(Exception):
        orientation = picture.getexif().get(_EXIF_ORIENTATION)
        if orientation in _TRANSPOSE:
            return int(orientation)
    return 1


def _upright(picture: Image.Image, orientation: int) -> Image.Image:
    return picture.transpose(_TRANSPOSE[orientation]) if orientation in _TRANSPOSE else picture


def _silence() -> None:
    """Keep what Pillow and libtiff say about broken files off the terminal.

    A filter that is put in and stays is safe with threads, which ``warnings.catch_warnings`` is not. It is
    looked for each time because others (pytest, a ``catch_warnings`` around us) put the old filters back.
    """
    if _PILLOW_WARNINGS not in warnings.filters:
        warnings.filterwarnings("ignore", module=r"PIL\.")
    _silence_libraries()


@functools.cache
def _silence_libraries() -> None:
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    # libtiff writes to the terminal from C. Where Pillow hides the functions of its libtiff (on Windows) it
    # goes on doing so.
    with contextlib.suppress(OSError, AttributeError):
        libtiff = ctypes.CDLL(_imaging.__file__)
        for set_handler in (libtiff.TIFFSetErrorHandler, libtiff.TIFFSetWarningHandler):
            set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
            set_handler(None)
