"""ZipStore: pictures straight out of a zip, or out of the zips in a zip, without unpacking them."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from catsdogs.core.cachefolder import cache_folder
from catsdogs.core.errors import DataError, OutputError, PictureError
from catsdogs.core.files import replacing
from catsdogs.data.entries import Entry, failure_reason, renamed_apart, too_large, version_of
from catsdogs.data.zipmembers import Member, PositionedFile, contents

# An inner zip that is compressed itself is unpacked to the cache; a larger one is refused.
MAX_UNPACKED_BYTES = 32 * 2**30
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
            DataError: The file is not a readable zip, or one of its inner zips is not.
        """
        self.root = root
        members = contents(PositionedFile.open(root), root)
        if _is_archive_of_archives(members):
            members = [inner for member in members for inner in _inside(root, member)]
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


def _inside(root: str, outer: Member) -> list[Member]:
    """Return the files of an inner zip under its name; anything else as it is."""
    if not outer.name.lower().endswith(".zip") or _is_hidden(outer.name):
        return [outer]
    title = f"{root}/{outer.name}"
    try:
        file = outer.in_place() or _unpacked_to_cache(root, outer)
    except PictureError as error:
        raise DataError(f"{title} cannot be read: {error}") from error
    return [inner._replace(name=f"{outer.name}/{inner.name}") for inner in contents(file, title)]


def _unpacked_to_cache(root: str, member: Member) -> PositionedFile:
    """Return a member as a file of its own, made once a version of the archive; deflate cannot seek."""
    if member.size > MAX_UNPACKED_BYTES:
        raise too_large(MAX_UNPACKED_BYTES)
    version = repr((*version_of(root), member.name, member.size, member.crc))
    key = hashlib.sha256(version.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    path = cache_folder() / "archives" / f"{key}.zip"
    if not path.is_file() or path.stat().st_size != member.size:
        try:
            with replacing(path) as temporary, temporary.open("wb") as stream:
                stream.writelines(member.pieces())
        except OSError as error:
            raise OutputError(f"cannot unpack {root} to {path.parent}: {failure_reason(error)}") from error
    return PositionedFile.open(str(path))
