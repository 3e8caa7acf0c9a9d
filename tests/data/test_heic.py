"""HEIC: read through the ordinary path and apart; without the extra there is a reason that names it."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from catsdogs.core.errors import PictureError
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.core.records import ImageRecord
from catsdogs.data import isolation
from catsdogs.data.decode import DecodeLimits, decode
from catsdogs.data.heic import is_heic
from catsdogs.data.inputs import find_pictures
from catsdogs.data.isolation import decode_within
from catsdogs.data.preparation import prepare
from catsdogs.data.stream import batches, read_picture
from catsdogs.data.views import parse_views

SIZE = (96, 64)
_ORIENTATION = 0x0112


def scene() -> Image.Image:
    """Return a smooth picture without symmetry: what is turned or mirrored differs."""
    across, down = np.linspace(0, 200, SIZE[0]), np.linspace(0, 120, SIZE[1])
    red, green = np.meshgrid(across, down)
    return Image.fromarray(np.stack([red, green, np.full_like(red, 90)], axis=-1).astype(np.uint8))


def heic(orientation: int = 1) -> bytes:
    """Return the scene as a phone writes it: the pixels of the sensor, and how to turn them."""
    pillow_heif = pytest.importorskip("pillow_heif")
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    buffer = io.BytesIO()
    pillow_heif.encode("RGB", SIZE, scene().tobytes(), buffer, quality=90, exif=exif.tobytes())
    return buffer.getvalue()


def assert_like(found: Image.Image, expected: Image.Image) -> None:
    assert (found.mode, found.size) == ("RGB", expected.size)
    difference = np.abs(np.asarray(found, dtype=int) - np.asarray(expected, dtype=int))
    assert difference.mean() < 2
    assert difference.max() < 16


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What was decoded by a helper process: a one for each."""
    calls: list[int] = []
    borrowed = isolation._borrowed
    monkeypatch.setattr(isolation, "_borrowed", lambda: calls.append(1) or borrowed())
    return calls


@pytest.mark.parametrize("named", ["photo.heic", "IMG_0001.HEIC", "photo.jpg"])
def test_a_photo_of_a_phone_is_a_picture_like_any_other(named: str, tmp_path: Path, asked: list[int]) -> None:
    (tmp_path / named).write_bytes(heic())
    spec = PreprocessSpec(32, 32)
    (batch,) = batches(
        find_pictures(str(tmp_path)), spec=spec, views=parse_views("none", spec), batch_size=4, workers=1
    )
    assert not batch.errors
    assert asked == [1]
    difference = np.abs(batch.pixels[0, 0].astype(int) - prepare(scene(), spec).astype(int))
    assert difference.mean() < 2


def test_its_pixels_and_its_orientation(tmp_path: Path, asked: list[int]) -> None:
    (tmp_path / "1.heic").write_bytes(heic())
    assert_like(read_picture(ImageRecord("1.heic", str(tmp_path), "1.heic")), scene())
    assert_like(decode_within(heic(3)), scene().transpose(Image.Transpose.ROTATE_180))
    assert_like(decode_within(heic(6)), scene().transpose(Image.Transpose.ROTATE_270))
    assert asked == [1, 1, 1]


def test_it_is_known_by_its_content() -> None:
    data = heic()
    assert is_heic(data)
    assert not is_heic(b"")
    assert not is_heic(data[:8] + b"avif" + data[12:16])
    assert is_heic(data[:8] + b"mif1" + data[12:])


def test_limits_and_damage() -> None:
    data = heic()
    with pytest.raises(PictureError, match=r"too many pixels \(96x64\)"):
        decode_within(data, limits=DecodeLimits(max_jpeg_pixels=99))
    for part in (data[:-300], data[:40]):
        with pytest.raises(PictureError, match=r"^(truncated|damaged)$"):
            decode_within(part)


def test_without_the_extra_the_reason_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
    monkeypatch.setitem(sys.modules, "pillow_heif.as_plugin", None)
    (tmp_path / "pillow_heif.py").write_text("raise ImportError")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(isolation, "_POOL", isolation._Pool())
    try:
        for function in (decode, decode_within):
            with pytest.raises(PictureError, match=r"^HEIC needs the extra: pip install 'catsdogs\[heic\]'$"):
                function(data)
    finally:
        isolation._POOL.close()
