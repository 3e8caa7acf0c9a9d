"""ZipStore: pictures straight out of a zip, or out of the zips in a zip, without unpacking them."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from catsdogs.core.errors import DataError, PictureError
from catsdogs.data.entries import Entry, renamed_apart, too_large, version_of
from catsdogs.data.positioned import PositionedFile
from catsdogs.data.unpacked import forget, place_of, require_limit, require_room, unpack
from catsdogs.data.zipmembers import Member, contents

_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")


def open_zip(root: str) -> ZipStore:
    """Return the store of a zip: opened once a process, and again when the file has changed.

    Raises:
        DataError: The file is missing, or is not a readable zip.
    """
    return _open_version(root, *version_of(root))


@functools.lru_cache(maxsize=64)
def _open_version(root: str, *_version: str | int) -> ZipStore:
    return ZipStore(root)


def opens_as_zip(root: str) -> bool:
    """Whether a file begins as a zip does, or says that it is one by its name."""
    with contextlib.suppress(OSError), Path(root).open("rb") as stream:
        return stream.read(4) in _MAGIC or root.lower().endswith(".zip")
    return True


class ZipStore:
    """The files in a zip; stored and deflated members, the two kinds that archives of pictures have.

    A zip that holds nothing but zips (and tables), such as Kaggle's ``dogs-vs-cats.zip``, acts as if each
    inner zip were a folder: ``train.zip/train/cat.0.jpg``. An inner zip that is compressed itself is unpacked
    to the cache folder once. A name that occurs twice gets a number: ``cat/1 (2).jpg``.

    Attributes:
        root: The path of the zip.
    """

    def __init__(self, root: str) -> None:
        """Read the table of contents.

        Raises:
            DataError: The file is not a readable zip, or one of its inner zips is not, or these unpack to
                more than ``unpacked.MAX_UNPACKED_BYTES``.
            OutputError: There is no room in the cache for its inner zips.
        """
        self.root = root
        members = contents(PositionedFile.open(root), root)
        if _is_archive_of_archives(members):
            members = list(_opened_up(root, members))
        self._members = {member.name: member for member in sorted(renamed_apart(members))}

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the path alone: another process opens the file itself."""
        return open_zip, (self.root,)

    def entries(self) -> list[Entry]:
        """Return every file, sorted by name."""
        return [
            Entry(member.name, member.size, f"{member.size}-{member.crc:08x}")
            for member in self._members.values()
        ]

    def names(self) -> Iterator[str]:
        """Yield the name of every file, sorted."""
        return iter(self._members)

    def read(self, name: str, limit_bytes: int) -> bytes:
        """Return the unpacked bytes of one file; a zip bomb is stopped at the size that it declares.

        Raises:
            PictureError: It is not there, too large, encrypted, packed in an unsupported way or damaged.
        """
        member = self._members.get(name)
        if member is None:
            raise PictureError("no such file in the archive")
        if member.size > limit_bytes:
            raise too_large(limit_bytes)
        return b"".join(member.pieces())


def _is_archive_of_archives(members: Sequence[Member]) -> bool:
    suffixes = {Path(member.name).suffix.lower() for member in members if not _is_hidden(member.name)}
    return ".zip" in suffixes and suffixes <= {".zip", ".csv"}


def _is_hidden(name: str) -> bool:
    return name.startswith("__MACOSX/") or name.rpartition("/")[2].startswith(".")


def _opened_up(root: str, members: Sequence[Member]) -> Iterator[Member]:
    """Yield the files of inner zips under their names; anything else as it is.

    Raises:
        DataError: An inner zip cannot be read, or all of them together unpack to too much.
        OutputError: The cache has no room for them.
    """
    places = {
        member: place_of(root, member.name, member.size, member.crc, suffix=".zip")
        for member in members
        if _is_zip(member) and member.is_packed
    }
    require_limit(root, sum(member.size for member in places))
    missing = [member for member, place in places.items() if not _is_there(place, member)]
    require_room(root, sum(member.size for member in missing))
    for member in members:
        if _is_zip(member):
            yield from _inside(root, member, places.get(member))
        else:
            yield member


def _is_zip(member: Member) -> bool:
    return member.name.lower().endswith(".zip") and not _is_hidden(member.name)


def _is_there(place: Path, member: Member) -> bool:
    return place.is_file() and place.stat().st_size == member.size


def _inside(root: str, outer: Member, place: Path | None) -> list[Member]:
    """Return the files of an inner zip, which is unpacked to its place in the cache where it has one."""
    title = f"{root}/{outer.name}"
    try:
        if place is not None and not _is_there(place, outer):
            unpack(root, outer.pieces(), place)
        file = PositionedFile.open(str(place)) if place is not None else outer.in_place()
        return [inner._replace(name=f"{outer.name}/{inner.name}") for inner in contents(file, title)]
    except PictureError as error:
        raise DataError(f"{title} cannot be read: {error}") from error
    except DataError:
        if place is not None:
            forget(place)  # no zip after all
        raise
