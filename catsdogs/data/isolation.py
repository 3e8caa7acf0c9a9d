"""Decoding that cannot hang, and cannot take the program down with it.

A thread that is stuck in a decoder cannot be stopped, a process can. What a file costs is estimated from its
size, format and header. The cheap ones, nearly all photos of the web, are decoded where they are. The others
go to a helper process that has a time limit; it is killed and replaced when it exceeds it, or when a decoder
crashes it. Either is the reason of one row.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from catsdogs.core.errors import PictureError
from catsdogs.data import memory
from catsdogs.data.decode import DecodeLimits, Header, decode
from catsdogs.data.heic import is_heic

# Two need 60 MB each and keep two cores busy; the memory that decoding takes is shared with the threads.
MOST_HELPERS = 2
# Before its header is known a file can cost time by its length only: up to a second a MB (tiny chunks).
QUICK_BYTES = 2**20
# Times 0.03 s: a plain JPEG is the unit, the others were measured on noise.
QUICK_MEGAPIXELS = 16.0
_COST = {"JPEG": 1.0, "PNG": 3.0, "BMP": 1.0, "PPM": 1.0, "GIF": 1.0, "TIFF": 3.0, "WEBP": 8.0, "AVIF": 4.0}
_OTHER_COST = 16.0

# A message: its kind, then two numbers, then as many bytes as the last of them says.
MESSAGE = struct.Struct("<cqqq")
JOB, NEED, GO, PICTURE, REASON = (bytes([code]) for code in b"JNGPR")
_DEFAULT_LIMITS = DecodeLimits()


class _Costly(PictureError):  # noqa: N818 - no error, a way to say so
    """The picture may take long; it is to be decoded apart."""


def decode_within(
    data: bytes, *, at_least_px: tuple[int, int] | None = None, limits: DecodeLimits = _DEFAULT_LIMITS
) -> Image.Image:
    """Do as ``decode``, within ``limits.max_seconds`` where a file could take longer than about a second.

    Raises:
        PictureError: As ``decode``; also that it took too long, or that its decoder crashed.
    """
    if len(data) <= QUICK_BYTES and not is_heic(data):
        with contextlib.suppress(_Costly):
            return decode(data, at_least_px=at_least_px, limits=limits, before_pixels=_refuse_costly)
    if not data or len(data) > limits.max_bytes:
        return decode(data, limits=limits)
    with _borrowed() as helper:
        return helper.decode(data, at_least_px, limits)


def _refuse_costly(header: Header) -> None:
    a_pixel = _OTHER_COST if header.in_python else _COST.get(header.format, _OTHER_COST)
    if header.size[0] * header.size[1] * header.scans * a_pixel > QUICK_MEGAPIXELS * 1e6:
        raise _Costly("decoded apart")


class _Helper:
    """A process that decodes one picture at a time; it runs ``data.isolated``."""

    def __init__(self) -> None:
        # The current folder may be a stranger's: a module that lies there, or an empty entry, which stands
        # for it, must not be imported.
        paths = os.pathsep.join(path for path in sys.path if Path(path).is_absolute())
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "catsdogs.data.isolated"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1"},
        )
        self._out_of_time = False
        # It says when it is ready: its start is not the picture's time.
        self.usable = bool(self._stream("stdout").read(1))

    def decode(self, data: bytes, at_least_px: tuple[int, int] | None, limits: DecodeLimits) -> Image.Image:
        self._out_of_time = False
        try:
            return self._decode(data, at_least_px, limits)
        except (OSError, struct.error, EOFError):
            took = f"took longer than {limits.max_seconds:g} s to decode"
            raise PictureError(took if self._out_of_time else "its decoder crashed") from None

    def close(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if stream:
                    stream.close()

    def _decode(self, data: bytes, at_least_px: tuple[int, int] | None, limits: DecodeLimits) -> Image.Image:
        width, height = at_least_px or (0, 0)
        settings = repr(asdict(limits)).encode()
        stdin, stdout = self._stream("stdin"), self._stream("stdout")
        started = time.monotonic()
        with self._clock(limits.max_seconds):
            send(stdin, JOB, width, height, struct.pack("<q", len(settings)) + settings, data)
            kind, first, second, rest = receive(stdout)
        left_s = limits.max_seconds - (time.monotonic() - started)
        if kind == NEED:
            # Waiting for memory that others hold is not this picture's time either.
            size = (second >> 32, second & 0xFFFFFFFF)
            with memory.BUDGET.share(first, size), self._clock(max(left_s, 0.0)):
                send(stdin, GO)
                kind, first, second, rest = receive(stdout)
        if kind == PICTURE:
            return Image.frombytes("RGB", (first, second), rest)
        raise PictureError(rest.decode("utf-8", "replace"))

    @contextlib.contextmanager
    def _clock(self, seconds: float) -> Iterator[None]:
        """Kill the process when the time is over."""
        timer = threading.Timer(seconds, self._time_is_over)
        timer.daemon = True
        timer.start()
        try:
            yield
        except BaseException:
            self.usable = False  # an answer may still be on its way
            raise
        finally:
            timer.cancel()

    def _time_is_over(self) -> None:
        self._out_of_time, self.usable = True, False
        self._process.kill()

    def _stream(self, name: str) -> BinaryIO:
        stream: BinaryIO = getattr(self._process, name)
        return stream


def send(stream: BinaryIO, kind: bytes, first: int = 0, second: int = 0, *rest: bytes) -> None:
    """Write a message: its kind, two numbers and bytes."""
    stream.write(MESSAGE.pack(kind, first, second, sum(map(len, rest))))
    for part in rest:
        stream.write(part)
    stream.flush()


def receive(stream: BinaryIO) -> tuple[bytes, int, int, bytes]:
    """Read a message that ``send`` wrote.

    Raises:
        EOFError: The other side has gone.
    """
    kind, first, second, length = MESSAGE.unpack(_exactly(stream, MESSAGE.size))
    return kind, first, second, _exactly(stream, length)


def _exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data


class _Pool:
    """The helpers that exist, and how many more may."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew: in a forked process the helpers belong to the parent."""
        self.idle: list[_Helper] = []
        self.all: set[_Helper] = set()
        self.free = threading.BoundedSemaphore(MOST_HELPERS)

    def close(self) -> None:
        for helper in list(self.all):
            helper.close()
        self.reset()


_POOL = _Pool()
atexit.register(_POOL.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_POOL.reset)


@contextlib.contextmanager
def _borrowed() -> Iterator[_Helper]:
    pool = _POOL
    with pool.free:
        try:
            helper = pool.idle.pop()
        except IndexError:
            helper = _Helper()
            pool.all.add(helper)
        try:
            yield helper
        finally:
            if helper.usable:
                pool.idle.append(helper)
            else:
                pool.all.discard(helper)
                helper.close()
