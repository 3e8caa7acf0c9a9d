"""TarStore: pictures straight out of a tar, plain, gzipped or bzip2ed, without unpacking it to disk.

The table of contents is read once, with ``tarfile``; limits hold before anything is allocated. Members of a
plain tar are read where they lie. A compressed one can only be read forwards: a cursor goes through it once,
and keeps for a moment what threads that run ahead have passed over.
"""

from __future__ import annotations

import bz2
import contextlib
import functools
import gzip
import tarfile
import threading
import weakref
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from catsdogs.core.errors import DataError, PictureError
from catsdogs.data.archives import MAX_UNPACKED_BYTES
from catsdogs.data.entries import Entry, failure_reason, renamed_apart, too_large, version_of
from catsdogs.data.zipmembers import PositionedFile

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2")
# What tarfile would read into memory as a header is a kilobyte in honest archives.
_MOST_HEADER_BYTES = 2**20
_HEADERS = frozenset(
    {tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME}
    | {tarfile.GNUTYPE_LONGLINK}
)
_KEPT_BYTES = 64 * 2**20
_BROKEN = (tarfile.TarError, EOFError, OSError, zlib.error, ValueError, ArithmeticError)


def is_tar(path: str) -> bool:
    """Whether a file begins as a tar does, whatever it is called; an empty one is known by its name."""
    try:
        with _opened(path) as stream:
            block = stream.read(tarfile.BLOCKSIZE)
        tarfile.TarInfo.frombuf(block, tarfile.ENCODING, "surrogateescape")
    except _BROKEN:
        return path.lower().endswith(SUFFIXES)
    return True


def open_tar(root: str) -> TarStore:
    """Return the store of a tar: opened once a process, and again when the file has changed.

    Raises:
        DataError: The file is missing, or is not a readable tar.
    """
    return _open_version(root, *version_of(root))


@functools.lru_cache(maxsize=8)
def _open_version(root: str, *_version: str | int) -> TarStore:
    return TarStore(root)


class _Member(NamedTuple):
    """One file in a tar.

    Attributes:
        name: As it stands there; it is never a path of this machine.
        start: Position of its bytes in the unpacked archive.
        size: In bytes.
        fingerprint: Changes when the content is likely to have.
        problem: Why it cannot be read, if that is known.
    """

    name: str
    start: int
    size: int
    fingerprint: str
    problem: str | None


class TarStore:
    """The files in a tar; what is no plain file (a link, a device) is a member that cannot be read.

    Attributes:
        root: The path of the tar.
        damage: Where the table of contents breaks off, or None.
    """

    def __init__(self, root: str) -> None:
        """Read the table of contents.

        Raises:
            DataError: The file is not a readable tar, or unpacks to more than ``MAX_UNPACKED_BYTES``.
        """
        self.root = root
        self.damage: str | None = None
        members = list(self._contents())
        self._members = {member.name: member for member in sorted(renamed_apart(members))}
        with Path(root).open("rb") as stream:
            packed = _compression(stream.read(3)) is not None
        self._file: PositionedFile | _Cursor = _Cursor(root, members) if packed else PositionedFile.open(root)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the path alone: another process opens the file itself."""
        return open_tar, (self.root,)

    def entries(self) -> list[Entry]:
        """Return every file, sorted by name."""
        return [Entry(member.name, member.size, member.fingerprint) for member in self._members.values()]

    def names(self) -> Iterator[str]:
        """Yield the name of every file, sorted."""
        return iter(self._members)

    def read(self, name: str, limit_bytes: int) -> bytes:
        """Return the bytes of one file.

        Raises:
            PictureError: It is not there, no plain file, too large or damaged.
        """
        member = self._members.get(name)
        if member is None:
            raise PictureError("no such file in the archive")
        if member.problem is not None:
            raise PictureError(member.problem)
        if member.size > limit_bytes:
            raise too_large(limit_bytes)
        try:
            data = self._file.read_at(member.start, member.size)
        except _BROKEN as error:
            raise PictureError("truncated" if isinstance(error, EOFError) else "damaged") from error
        if len(data) < member.size:
            raise PictureError("truncated")
        return data

    def _contents(self) -> Iterator[_Member]:
        try:
            with (
                _opened(self.root) as stream,
                tarfile.open(
                    fileobj=stream, mode="r:", tarinfo=_CheckedInfo, errors="surrogateescape"
                ) as archive,
            ):
                yield from self._listed(archive)
                stream.seek(archive.offset)
                if stream.read(tarfile.BLOCKSIZE).strip(b"\0"):
                    self.damage = "its table of contents breaks off"
        except DataError:
            raise
        except tarfile.ReadError as error:
            if not hasattr(self, "_begun"):
                raise DataError(f"{self.root} is not a folder or a readable archive: {error}") from error
            self.damage = "it is truncated"
        except _BROKEN as error:
            self.damage = f"it is damaged ({failure_reason(error)})"

    def _listed(self, archive: tarfile.TarFile) -> Iterator[_Member]:
        self._begun = True
        reached = -1
        while (info := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]  # a million of them need not be kept twice
            if archive.offset <= reached:
                self.damage = "its table of contents leads back"
                return
            reached = archive.offset
            if reached > MAX_UNPACKED_BYTES and _is_packed(archive):
                raise DataError(f"{self.root} unpacks to more than {MAX_UNPACKED_BYTES // 2**30} GB")
            if not info.isdir():
                fingerprint = f"{info.size}-{info.mtime}-{info.chksum:o}"
                name = info.name.removeprefix("./") or info.name
                yield _Member(name, info.offset_data, info.size, fingerprint, _problem(info))


class _CheckedInfo(tarfile.TarInfo):
    """Refuses headers that would take memory or time that no honest archive needs."""

    def _proc_member(self, archive: tarfile.TarFile) -> Any:
        """Check the header before ``tarfile`` follows it; this is the hook that it offers."""
        if self.size < 0 or (self.type in _HEADERS and self.size > _MOST_HEADER_BYTES):
            raise tarfile.ReadError("a header that cannot be")
        return super()._proc_member(archive)  # type: ignore[misc]


class _Cursor:
    """Goes forwards through a compressed tar; what it has to pass over is kept for other threads."""

    def __init__(self, root: str, members: list[_Member]) -> None:
        self._root = root
        self._order = sorted((member.start, member.size) for member in members if member.problem is None)
        self._places = {start: place for place, (start, _) in enumerate(self._order)}
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._next = 0
        self._stream: IO[bytes] | None = None
        self._lock = threading.Lock()

    def read_at(self, start: int, size: int) -> bytes:
        with self._lock:
            if start in self._kept:
                return self._kept.pop(start)
            place = self._places[start]
            try:
                stream = self._opened()
                if place >= self._next:
                    self._pass_over(stream, place)
                stream.seek(start)  # backwards means from the beginning, again
                data = stream.read(size)
            except BaseException:
                self._close()
                raise
            self._next = place + 1
            return data

    def _pass_over(self, stream: IO[bytes], place: int) -> None:
        for start, size in self._order[self._next : place]:
            if size <= _KEPT_BYTES // 4:
                stream.seek(start)
                self._kept[start] = stream.read(size)
        while sum(map(len, self._kept.values())) > _KEPT_BYTES:
            self._kept.popitem(last=False)

    def _opened(self) -> IO[bytes]:
        if self._stream is None:
            self._stream = _opened(self._root)
            weakref.finalize(self, _close_quietly, self._stream)
        return self._stream

    def _close(self) -> None:
        if self._stream is not None:
            _close_quietly(self._stream)
        self._stream, self._next = None, 0


def _close_quietly(stream: IO[bytes]) -> None:
    with contextlib.suppress(*_BROKEN):
        stream.close()


def _problem(info: tarfile.TarInfo) -> str | None:
    if info.issparse():
        return "a sparse file in an archive"
    return None if info.isfile() else "not a regular file"


def _compression(magic: bytes) -> Any:
    if magic.startswith(b"\x1f\x8b"):
        return gzip.open
    return bz2.open if magic == b"BZh" else None


def _opened(path: str) -> IO[bytes]:
    """Open a tar, unpacked on the way where it is compressed.

    Raises:
        OSError: It cannot be opened.
    """
    with Path(path).open("rb") as stream:
        opener = _compression(stream.read(3))
    opened: IO[bytes] = opener(path, "rb") if opener else open(path, "rb")  # noqa: PTH123, SIM115
    return opened


def _is_packed(archive: tarfile.TarFile) -> bool:
    return isinstance(archive.fileobj, gzip.GzipFile | bz2.BZ2File)
