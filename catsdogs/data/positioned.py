"""A file that many read at once: every read names its own position (``pread``).

Nothing that is shared holds a file offset: a fork or a second thread cannot disturb it.
"""

from __future__ import annotations

import io
import os
import threading
from typing import Any

from catsdogs.core.errors import DataError
from catsdogs.data.entries import failure_reason


class PositionedFile:
    """An open file, or a part of one, that is read at given positions."""

    def __init__(self, handle: _Handle, start: int, size: int) -> None:
        self._handle = handle
        self._start = start
        self.size = size

    @classmethod
    def open(cls, path: str) -> PositionedFile:
        """Return the whole file of this path.

        Raises:
            DataError: It cannot be opened.
        """
        try:
            handle = _Handle(path)
        except OSError as error:
            raise DataError(f"{path} cannot be opened: {failure_reason(error)}") from error
        return cls(handle, 0, os.fstat(handle.number).st_size)

    def part(self, start: int, size: int) -> PositionedFile:
        """Return ``size`` bytes of this file as a file."""
        return PositionedFile(self._handle, self._start + start, size)

    def read_at(self, start: int, count: int) -> bytes:
        """Return up to ``count`` bytes; none where the file ends."""
        count = min(count, self.size - start)
        return self._handle.read_at(self._start + start, count) if start >= 0 and count > 0 else b""


class _Handle:
    """An open file that is closed with its last user."""

    def __init__(self, path: str) -> None:
        self.number = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        self._lock = threading.Lock()

    def __del__(self) -> None:
        if hasattr(self, "number"):
            os.close(self.number)

    def read_at(self, start: int, count: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self.number, count, start)
        # Windows, where processes do not fork: a lock between the threads is enough.
        with self._lock:
            os.lseek(self.number, start, os.SEEK_SET)
            return os.read(self.number, count)


class Stream(io.RawIOBase):
    """A file as the seekable stream that ``zipfile`` and ``tarfile`` want."""

    def __init__(self, file: PositionedFile) -> None:
        self._file = file
        self._position = 0

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position, which may lie behind the end."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._file.size}[whence]
        if start + offset < 0:
            raise OSError("a position before the start")
        self._position = start + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as the file goes; return how many bytes came."""
        data = self._file.read_at(self._position, len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
