"""What lies packed in an archive as a file of its own in the cache: deflate, gzip and bzip2 cannot seek.

It is made once a version of the archive, is never larger than a limit and never takes the last of the disk.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Iterable
from pathlib import Path

from catsdogs.core.cachefolder import cache_folder
from catsdogs.core.errors import DataError, OutputError
from catsdogs.core.files import replacing
from catsdogs.data.entries import failure_reason, version_of

# All that one archive may unpack to.
MAX_UNPACKED_BYTES = 32 * 2**30
# What stays free on the disk for others, and how far one writes between two looks at it.
LEFT_FREE_BYTES = 2**28
_LOOK_EVERY_BYTES = 2**24


def place_of(root: str, *part: str | int, suffix: str) -> Path:
    """Return where a part of this version of an archive lies, once it is unpacked.

    Raises:
        DataError: The archive is missing.
    """
    version = repr((*version_of(root), *part))
    key = hashlib.sha256(version.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return cache_folder() / "archives" / f"{key}{suffix}"


def require_limit(root: str, size_bytes: int) -> None:
    """Refuse an archive that unpacks to more than any may.

    Raises:
        DataError: It does.
    """
    if size_bytes > MAX_UNPACKED_BYTES:
        raise DataError(f"{root} unpacks to more than {MAX_UNPACKED_BYTES // 2**30} GB")


def require_room(root: str, size_bytes: int) -> None:
    """Refuse to unpack what the disk of the cache has no room for.

    Raises:
        OutputError: It is too much.
    """
    folder = cache_folder()
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    try:
        free_bytes = shutil.disk_usage(folder).free
    except OSError as error:
        raise OutputError(f"cannot unpack {root} to {cache_folder()}: {failure_reason(error)}") from error
    if size_bytes > free_bytes - LEFT_FREE_BYTES:
        raise OutputError(
            f"cannot unpack {root} to {cache_folder()}: no room on that disk (CATSDOGS_CACHE names another)"
        )


def unpack(root: str, pieces: Iterable[bytes], path: Path) -> None:
    """Write the pieces of an archive to a file; it is there whole or not at all.

    Raises:
        DataError: They are more than ``MAX_UNPACKED_BYTES``.
        OutputError: The file cannot be written, or the disk has no room for it.
    """
    size = room_until = 0
    try:
        with replacing(path) as temporary, temporary.open("wb") as stream:
            for piece in pieces:
                size += len(piece)
                require_limit(root, size)
                if size > room_until:
                    room_until = size + _LOOK_EVERY_BYTES
                    require_room(root, _LOOK_EVERY_BYTES)
                stream.write(piece)
    except OSError as error:
        raise OutputError(f"cannot unpack {root} to {path.parent}: {failure_reason(error)}") from error


def forget(path: Path) -> None:
    """Remove what has turned out to be useless; on Windows it stays as long as somebody reads it."""
    with contextlib.suppress(OSError):
        path.unlink()
