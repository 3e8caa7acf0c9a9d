"""A list of paths that somebody pipes in, kept in a file: it may be long, and is read more than once."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from catsdogs.core.errors import OutputError
from catsdogs.data.entries import failure_reason

_PIECE_BYTES = 2**16


class PathList:
    r"""Paths, one a line, or divided by zero bytes where there are any, as ``find -print0`` writes them.

    Bytes that are not UTF-8 survive; empty lines do not count.

    Attributes:
        file: Where the list lies.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._end = b"\0" if _holds_zero(file) else b"\n"

    @classmethod
    def spooled(cls, stream: BinaryIO) -> PathList:
        """Read a stream to its end into a temporary file, which is removed with the list.

        Raises:
            OutputError: The file cannot be written.
        """
        try:
            handle, name = tempfile.mkstemp(prefix="catsdogs-", suffix=".list")
            try:
                with os.fdopen(handle, "wb") as spool:
                    while piece := stream.read(_PIECE_BYTES):
                        spool.write(piece)
                paths = cls(Path(name))
            except BaseException:  # an interrupt too
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as error:
            place = tempfile.gettempdir()
            raise OutputError(f"cannot keep the list of paths in {place}: {failure_reason(error)}") from error
        paths._temporary = True
        return paths

    _temporary = False

    def __del__(self) -> None:
        if self._temporary:
            self.file.unlink(missing_ok=True)

    def __iter__(self) -> Iterator[str]:
        """Yield the paths in their order."""
        with self.file.open("rb") as stream:
            rest = b""
            while piece := stream.read(_PIECE_BYTES):
                *lines, rest = (rest + piece).split(self._end)
                yield from filter(None, map(self._path, lines))
            if path := self._path(rest):
                yield path

    def _path(self, line: bytes) -> str:
        return os.fsdecode(line.rstrip(b"\r") if self._end == b"\n" else line)


def _holds_zero(file: Path) -> bool:
    with file.open("rb") as stream:
        return any(b"\0" in piece for piece in iter(lambda: stream.read(_PIECE_BYTES), b""))
