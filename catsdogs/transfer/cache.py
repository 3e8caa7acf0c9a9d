"""A cache of feature rows: what a frozen backbone said about a picture, found again by its content.

It is one SQLite file, because SQLite brings what a cache shared by processes needs: a killed writer leaves
the last whole transaction, and readers and writers wait for each other. It keeps the rollback journal rather
than the write-ahead log, which network file systems (many a home folder) do not support.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from catsdogs.core.cachefolder import cache_folder, cap_limit_bytes
from catsdogs.core.errors import OutputError
from catsdogs.transfer.cachetables import Row, count_rows, read_rows, write_rows

T = TypeVar("T")

_FILE = "features.sqlite"
_SIDE_FILES = ("-journal", "-wal", "-shm")
_PATIENCE_S = 5.0
# The file is not what we wrote: cut, spoilt, another program's, or with tables that contradict each other.
_DAMAGE = {
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_NOTADB,
}


@dataclass(frozen=True, slots=True)
class CacheSummary:
    """What a cache holds.

    Attributes:
        rows: Number of feature rows; none where it cannot be told because the file is damaged or locked.
        bytes: Size on disk.
        cap_bytes: What it may grow to; 0 where the cache is off.
    """

    rows: int | None
    bytes: int
    cap_bytes: int


class FeatureCache:
    """Feature rows on disk, shared by every process of a user.

    It can only save time: where the file cannot be read, reading finds nothing, and where it cannot be
    written, writing does nothing. A damaged or foreign file at its place is replaced.
    """

    def __init__(self, path: Path | None = None, *, cap_bytes: int | None = None) -> None:
        """Say where the cache lies; nothing is opened yet.

        Args:
            path: The file; by default in the folder for caches.
            cap_bytes: Size of the file beyond which the least recently used rows go; 0 turns the cache off.
                By default what ``CATSDOGS_CACHE_LIMIT`` says, else 2 GB.

        Raises:
            ConfigError: ``CATSDOGS_CACHE_LIMIT`` is not a size.
        """
        self._path = _usual_path() if path is None else path.absolute()
        self._cap_bytes = cap_limit_bytes() if cap_bytes is None else cap_bytes
        self._given_up = False

    def read(self, space: str, contents: Sequence[bytes]) -> dict[bytes, Row]:
        """Return the rows that are there and whole, by content; they count as used now.

        Args:
            space: What decides the numbers besides the picture, from ``space_key``.
            contents: SHA-256 digests of the pictures' bytes.

        Returns:
            Rows of one width, finite and read-only.
        """
        wanted = list(dict.fromkeys(contents))

        def work(path: Path) -> dict[bytes, Row]:
            if not wanted or not path.is_file():
                return {}
            return _on_database(path, lambda database: read_rows(database, space, wanted))

        return self._attempt(work) or {}

    def write(self, space: str, rows: Mapping[bytes, Row]) -> None:
        """Keep rows, in place of those of the same content; evict the least recently used beyond the cap.

        A call is one transaction: better some hundred rows a call than a few.

        Raises:
            ValueError: The rows are not vectors of one length.
        """
        data = {content: np.asarray(row, dtype="<f4") for content, row in rows.items()}
        if not data:
            return
        shape = next(iter(data.values())).shape
        if len(shape) != 1 or not shape[0] or any(row.shape != shape for row in data.values()):
            raise ValueError("the rows of a space are vectors of one length")

        def work(path: Path) -> None:
            path.parent.mkdir(parents=True, exist_ok=True)
            _on_database(
                path,
                lambda database: write_rows(database, space, data, width=shape[0], cap_bytes=self._cap_bytes),
            )

        self._attempt(work)

    def summary(self) -> CacheSummary:
        """Say what the cache holds.

        Raises:
            OutputError: Its folder may not be looked into.
        """
        if self._path is None or not _is_there(self._path):
            return CacheSummary(0, 0, self._cap_bytes)
        rows = None
        with contextlib.suppress(OSError, sqlite3.Error), _opened(self._path) as database:
            rows = count_rows(database)
        return CacheSummary(rows, _size_bytes(self._path), self._cap_bytes)

    def clear(self) -> int:
        """Delete the file and return how many bytes that freed.

        A transaction of another process is waited for; processes that come later make a new file.

        Raises:
            OutputError: The file cannot be found or deleted, or another process keeps it locked.
        """
        if self._path is None or not _is_there(self._path):
            return 0
        size = _size_bytes(self._path)
        try:
            _delete_when_idle(self._path)
        except OSError as error:
            raise OutputError(f"cannot delete {self._path}: {error.strerror}") from error
        return size

    def _attempt(self, work: Callable[[Path], T]) -> T | None:
        """Do the work, once more where its file was replaced meanwhile; or give up without a word."""
        if self._path is None or self._given_up or not self._cap_bytes:
            return None
        for _ in range(2):
            try:
                return work(self._path)
            except _ReplacedError:
                continue
            except (OSError, sqlite3.Error) as error:
                # Whoever holds the lock this long may hold it for good: do not wait again and again.
                self._given_up = _code(error) == sqlite3.SQLITE_BUSY
                break
        return None


def space_key(**parts: Any) -> str:
    """Return a digest of all that decides the numbers of a row besides the picture.

    Args:
        parts: Plain values as JSON has them: weights, preprocessing, view, precision, code version ...

    Raises:
        TypeError: One of them is not a plain value.
    """
    text = json.dumps(parts, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


class _ReplacedError(Exception):
    """The file is gone, because it was of no use or because another process deleted it."""


def _usual_path() -> Path | None:
    try:
        return cache_folder() / _FILE
    except OutputError:
        return None


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        raise OutputError(f"cannot look into {path.parent}: {error.strerror}") from error


def _opened(path: Path) -> contextlib.closing[sqlite3.Connection]:
    """Connect for one piece of work: nothing is left open for a fork, a thread or a pickle to share."""
    return contextlib.closing(sqlite3.connect(path, timeout=_PATIENCE_S, isolation_level=None))


def _on_database(path: Path, work: Callable[[sqlite3.Connection], T]) -> T:
    """Return what the work gives; delete a database that shows to be damaged."""
    with _opened(path) as database:
        opened = _identity(path)
        try:
            # A power cut may spoil what was last written; checksums tell, and it can be made again.
            database.execute("PRAGMA synchronous = OFF")
            return work(database)
        except sqlite3.Error as error:
            # Another process may have replaced it since: what lies there now is not what was damaged.
            still_there = _identity(path) == opened
            if still_there and _code(error) not in _DAMAGE:
                raise
    if still_there:
        _delete(path)
    raise _ReplacedError


def _identity(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def _code(error: Exception) -> int:
    """Return SQLite's primary result code, or 0 where the error is not SQLite's."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _delete_when_idle(path: Path) -> None:
    """Delete a database between two transactions; SQLite refuses later ones on a file that is gone."""
    with contextlib.suppress(sqlite3.DatabaseError), _opened(path) as database:
        try:
            database.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if _code(error) == sqlite3.SQLITE_BUSY:
                raise OutputError(f"{path} is in use by another process: try again later") from error
        with contextlib.suppress(PermissionError):  # Windows deletes no file that is open, be it by us
            _delete(path)
    _delete(path)


def _delete(path: Path) -> None:
    path.unlink(missing_ok=True)
    for side in _SIDE_FILES:
        Path(f"{path}{side}").unlink(missing_ok=True)


def _size_bytes(path: Path) -> int:
    files = (Path(f"{path}{side}") for side in ("", *_SIDE_FILES))
    return sum(file.stat().st_size for file in files if file.is_file())
