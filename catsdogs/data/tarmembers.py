"""One tar: its table of contents, which ``tarfile`` reads, within limits of what honest archives need."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from typing import NamedTuple

from catsdogs.core.errors import DataError
from catsdogs.data.positioned import PositionedFile, Stream

# All headers of one member: names, extended attributes, maps of sparse files. Honest ones take a kilobyte.
MOST_HEADER_BYTES = 2**16
# The time of tarfile's patterns for headers is the square of such a run before Python 3.11.10 and 3.12.6
# (CVE-2024-6232): seconds a header, of which a small archive holds many.
_MANY_DIGITS = re.compile(rb"[0-9]{200}")
# Headers that hold for all members that follow; every member gets a copy.
_MOST_SHARED_HEADERS = 64
# All names, and what a member takes in memory besides its name.
MOST_TABLE_BYTES = 2**29
_MEMBER_BYTES = 256


class Member(NamedTuple):
    """One file in a tar.

    Attributes:
        name: As it stands there; it is never a path of this machine.
        start: Position of its bytes in the tar.
        size: In bytes.
        fingerprint: Changes when the content is likely to have.
        problem: Why it cannot be read, if that is known.
    """

    name: str
    start: int
    size: int
    fingerprint: str
    problem: str | None


def contents(file: PositionedFile, title: str) -> tuple[list[Member], str | None]:
    """Return everything in a tar but its folders, and where its table of contents breaks off, if it does.

    Raises:
        DataError: It is no tar, or it has more members than fit into memory.
    """
    found: list[Member] = []
    try:
        damage = _read_table(file, title, found)
    except DataError:
        raise
    except tarfile.ReadError:
        damage = "it is truncated"
    except Exception:  # tarfile trusts headers, and fails on them in many ways
        damage = "it is damaged"
    return found, damage


def _read_table(file: PositionedFile, title: str, found: list[Member]) -> str | None:
    """Add the members to those found, as far as they can be read; return what is wrong behind them."""
    stream = _Headers(file)
    try:
        archive = tarfile.open(fileobj=stream, mode="r:", errors="surrogateescape")  # noqa: SIM115
    except Exception as error:
        raise DataError(f"{title} is not a folder or a readable archive: {_reason(error)}") from error
    reached, table_bytes = -1, 0
    for info in _each(archive, stream):
        if archive.offset <= reached:
            return "its table of contents leads back"
        reached = archive.offset
        if len(archive.pax_headers) > _MOST_SHARED_HEADERS:
            return "it has headers that cannot be"
        table_bytes += len(info.name) + _MEMBER_BYTES
        if table_bytes > MOST_TABLE_BYTES:
            raise DataError(f"{title} lists more than fits into memory: unpack it, and give the folder")
        if not info.isdir():
            found.append(_member(info))
    stream.expect_member()
    stream.seek(archive.offset)
    return "its table of contents breaks off" if stream.read(tarfile.BLOCKSIZE).strip(b"\0") else None


def _each(archive: tarfile.TarFile, stream: _Headers) -> Iterator[tarfile.TarInfo]:
    while (info := archive.next()) is not None:
        archive.members.clear()  # type: ignore[attr-defined]  # a million of them need not be kept twice
        yield info
        stream.expect_member()


def _member(info: tarfile.TarInfo) -> Member:
    fingerprint = f"{info.size}-{info.mtime}-{info.chksum:o}"
    name = info.name.removeprefix("./") or info.name
    return Member(name, info.offset_data, max(info.size, 0), fingerprint, _problem(info))


def _problem(info: tarfile.TarInfo) -> str | None:
    if info.size < 0:
        return "damaged: its size cannot be"
    if info.issparse():
        return "a sparse file in an archive"
    return None if info.isfile() else "not a regular file"


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, tarfile.TarError) else "a header that cannot be"


class _Headers(Stream):
    """A tar of which only headers are read, and of each member only so much of them.

    A header says itself how long it is, may be followed by any number of others, and is compressed well.
    """

    def __init__(self, file: PositionedFile) -> None:
        super().__init__(file)
        self.expect_member()

    def expect_member(self) -> None:
        """Allow the headers of the next member."""
        self._left_bytes = MOST_HEADER_BYTES

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= self._left_bytes:
            raise tarfile.ReadError("a header that cannot be")
        self._left_bytes -= size
        data = super().read(size) or b""
        if size > tarfile.BLOCKSIZE and _MANY_DIGITS.search(data):
            raise tarfile.ReadError("a header that cannot be")
        return data
