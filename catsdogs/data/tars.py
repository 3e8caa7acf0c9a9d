"""TarStore: pictures straight out of a tar, plain, gzipped or bzip2ed.

The table of contents is read once, within limits. Members are read where they lie, in any order and by any
number of threads and processes; a compressed tar, which cannot seek, is unpacked to the cache first.
"""

from __future__ import annotations

import bz2
import functools
import gzip
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from catsdogs.core.errors import DataError, PictureError
from catsdogs.data.entries import Entry, renamed_apart, too_large, version_of
from catsdogs.data.positioned import PositionedFile
from catsdogs.data.tarmembers import contents
from catsdogs.data.unpacked import forget, place_of, unpack

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2")
_PIECE_BYTES = 2**20
# What gzip, bz2 and the first header of a tar raise.
_BROKEN = (tarfile.TarError, EOFError, OSError, zlib.error, ValueError, LookupError, ArithmeticError)


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
        OutputError: It is compressed, and the cache has no room for it.
    """
    return _open_version(root, *version_of(root))


@functools.lru_cache(maxsize=8)
def _open_version(root: str, *_version: str | int) -> TarStore:
    return TarStore(root)


class TarStore:
    """The files in a tar; what is no plain file (a link, a device) is a member that cannot be read.

    Attributes:
        root: The path of the tar.
        damage: Where the table of contents breaks off, or None.
    """

    def __init__(self, root: str) -> None:
        """Read the table of contents, after unpacking a compressed tar once a version of it.

        Raises:
            DataError: The file is not a readable tar, has more members than fit into memory, or unpacks to
                more than ``unpacked.MAX_UNPACKED_BYTES``.
            OutputError: It is compressed, and the cache has no room for it.
        """
        self.root = root
        self._file = PositionedFile.open(root)
        place = None
        if _compression(root):
            place = _unpacked(root)
            self._file = PositionedFile.open(str(place))
        try:
            members, self.damage = contents(self._file, root)
        except DataError:
            if place is not None:
                forget(place)  # no tar after all
            raise
        if place is not None and place.name.endswith(_CUT):
            self.damage = self.damage or "it is damaged"
        self._members = {member.name: member for member in sorted(renamed_apart(members))}

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
        except (OSError, OverflowError) as error:
            raise PictureError("damaged") from error
        if len(data) < member.size:
            raise PictureError("truncated")
        return data


# The names of unpacked tars end so; the second where the compressed one breaks off.
_WHOLE, _CUT = ".tar", ".cut.tar"


def _unpacked(root: str) -> Path:
    """Return the file that a compressed tar unpacks to, as far as it can be unpacked."""
    whole, cut = (place_of(root, suffix=suffix) for suffix in (_WHOLE, _CUT))
    for place in (whole, cut):
        if place.is_file():
            return place
    pieces = _Pieces(root)
    unpack(root, pieces, whole)
    if pieces.broken:
        return whole.replace(cut)
    return whole


class _Pieces:
    """The unpacked bytes of a compressed file.

    Attributes:
        broken: Whether they break off.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self.broken = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            with _opened(self._path) as stream:
                # A larger read would lose what lies before the damage.
                while piece := stream.read1(_PIECE_BYTES):  # type: ignore[attr-defined]
                    yield piece
        except (EOFError, OSError, zlib.error, ValueError):
            self.broken = True


def _opened(path: str) -> IO[bytes]:
    """Open a tar, unpacked on the way where it is compressed.

    Raises:
        OSError: It cannot be opened.
    """
    opened: IO[bytes] = (_compression(path) or open)(path, "rb")
    return opened


def _compression(path: str) -> Any:
    """Return what opens a compressed file; None where it is not."""
    with Path(path).open("rb") as stream:
        magic = stream.read(3)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.open
    return bz2.open if magic == b"BZh" else None
