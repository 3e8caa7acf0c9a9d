"""Decoding apart: the same pictures, a limit of time, and crashes that stay where they happen."""

import io
import os
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from catsdogs.core.errors import PictureError
from catsdogs.core.ordered import ordered_map
from catsdogs.core.records import ImageRecord
from catsdogs.data import isolation
from catsdogs.data.decode import DecodeLimits, decode
from catsdogs.data.isolation import decode_within
from catsdogs.data.memory import BUDGET, MEMORY_BUDGET_BYTES
from catsdogs.data.stream import read_picture


def encoded(size: tuple[int, int], kind: str, **options: object) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def chunky(chunks: int) -> bytes:
    """Return a small PNG after very many empty chunks, which take Pillow microseconds each."""
    picture = encoded((8, 8), "PNG")
    empty = b"\0\0\0\0quUx" + zlib.crc32(b"quUx").to_bytes(4, "big")
    return picture[:33] + chunks * empty + picture[33:]


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is decoded by helpers."""
    monkeypatch.setattr(isolation, "QUICK_BYTES", -1)


@pytest.mark.usefixtures("apart")
class TestApart:
    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
    def test_the_same_picture(self, kind: str) -> None:
        data = encoded((300, 200), kind)
        for needed in (None, (30, 30)):
            here, there = decode(data, at_least_px=needed), decode_within(data, at_least_px=needed)
            assert there.mode == "RGB"
            np.testing.assert_array_equal(np.asarray(there), np.asarray(here))

    @pytest.mark.parametrize("data", [b"", b"nothing", encoded((50, 50), "PNG")[:900]])
    def test_the_same_reason(self, data: bytes) -> None:
        reasons = []
        for function in (decode, decode_within):
            with pytest.raises(PictureError) as caught:
                function(data)
            reasons.append(str(caught.value))
        assert reasons[0] == reasons[1]

    def test_the_same_limits(self) -> None:
        limits = DecodeLimits(max_pixels=99)
        with pytest.raises(PictureError, match=r"too many pixels \(10x10\)"):
            decode_within(encoded((10, 10), "PNG"), limits=limits)

    def test_memory_is_shared_with_the_threads_here(self) -> None:
        data = encoded((40, 40), "PNG")
        decode_within(data)  # a helper is there
        with BUDGET.share(MEMORY_BUDGET_BYTES, (1, 1)):
            waiting = ordered_map(decode_within, [data], workers=1)
            results = ordered_map(lambda _: next(waiting), [0], workers=1)
            time.sleep(0.1)
            assert BUDGET._free_bytes == 0
        assert next(results).size == (40, 40)

    def test_a_helper_that_crashes_costs_one_picture(self) -> None:
        data = encoded((40, 40), "PNG")
        decode_within(data)
        (helper,) = isolation._POOL.idle
        helper._process.kill()
        helper._process.wait()
        with pytest.raises(PictureError, match=r"^its decoder crashed$"):
            decode_within(data)
        assert decode_within(data).size == (40, 40)


def test_time_is_limited_and_the_next_picture_is_decoded() -> None:
    poison = chunky(2_000_000)
    limits = DecodeLimits(max_seconds=0.5)
    decode_within(encoded((8, 8), "PNG") + bytes(isolation.QUICK_BYTES))
    started = time.perf_counter()
    with pytest.raises(PictureError, match=r"^took longer than 0.5 s to decode$"):
        decode_within(poison, limits=limits)
    assert time.perf_counter() - started < 2
    assert decode_within(encoded((8, 8), "PNG") + bytes(isolation.QUICK_BYTES)).size == (8, 8)


def test_what_is_cheap_needs_no_helper(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise AssertionError("a helper was asked for")

    monkeypatch.setattr(isolation._Pool, "free", property(refuse), raising=False)
    for kind in ("JPEG", "PNG", "WEBP", "TIFF"):
        assert decode_within(encoded((450, 370), kind)).size == (450, 370)


def test_the_current_folder_is_not_searched_for_modules(tmp_path: Path, monkeypatch) -> None:
    """Among a stranger's photos may lie a module that is called as one of ours is."""
    for name in ("ast.py", "numpy.py", "PIL.py", "catsdogs.py", "sitecustomize.py"):
        (tmp_path / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w'); raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", ".", *sys.path])
    monkeypatch.setattr(isolation, "_POOL", isolation._Pool())
    try:
        picture = encoded((8, 8), "PNG") + bytes(isolation.QUICK_BYTES)
        assert decode_within(picture).size == (8, 8)
        assert not (tmp_path / "ran").exists()
    finally:
        isolation._POOL.close()


def plain(kind: str) -> bytes:
    """Return a small file of many pixels."""
    buffer = io.BytesIO()
    Image.new("RGB", (1500, 1000)).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("data", [plain("JPEG") + bytes(isolation.QUICK_BYTES), plain("JPEG2000")])
def test_what_may_be_costly_goes_to_a_helper(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    borrowed = isolation._borrowed
    monkeypatch.setattr(isolation, "_borrowed", lambda: asked.append(1) or borrowed())
    assert decode_within(data).size == (1500, 1000)
    assert asked == [1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes do not fork here")
@pytest.mark.usefixtures("apart")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_has_helpers_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(encoded((40, 30), "PNG"))
    record = ImageRecord("1.png", str(tmp_path), "1.png")
    read_picture(record)
    child = os.fork()
    if not child:
        code = 1
        try:
            code = 0 if not isolation._POOL.idle and read_picture(record).size == (40, 30) else 2
            isolation._POOL.close()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert read_picture(record).size == (40, 30)
