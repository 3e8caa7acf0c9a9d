"""Writing files so that a reader finds the old one or the new one, never half of one."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from catsdogs.core.errors import OutputError

_NO_ROOM = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success flush it to disk and rename it over ``path``.

    An exception, an interrupt included, removes the temporary file and leaves ``path`` as it was. Where
    ``path`` is a link, the file that it leads to is replaced and the link stays.

    Raises:
        OutputError: The folder cannot be written, the disk is full, or ``path`` is a folder or a device.
    """
    target = Path(os.path.realpath(path))
    try:
        if target.exists() and not target.is_file():
            raise OutputError(f"cannot write {path}: it is there already and is not a regular file")
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-", suffix=".tmp")
    except (FileExistsError, NotADirectoryError) as error:
        raise OutputError(f"cannot write {path}: a file is where its folder should be") from error
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        install(temporary, target)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            raise OutputError(f"cannot write {path}: {error.strerror}") from error
        raise


def require_writable(path: str | Path) -> None:
    """Find out before the work whether ``path`` can be written after it; nothing stays behind.

    Raises:
        OutputError: It is a folder, or its folder cannot be made or written.
    """
    target = Path(os.path.realpath(path))
    try:
        if target.is_dir():
            raise OutputError(f"cannot write {path}: it is a folder")
        new_folders = [folder for folder in target.parents if not folder.exists()]
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    try:
        with contextlib.suppress(_NotWrittenError), replacing(path):
            raise _NotWrittenError
    finally:
        for folder in new_folders:
            with contextlib.suppress(OSError):
                folder.rmdir()


class _NotWrittenError(Exception):
    """Leaves ``replacing`` without replacing anything."""


def write_text(path: str | Path, text: str) -> None:
    r"""Write UTF-8 text durably, its line ends as they are.

    Bytes of a file name that is not UTF-8 are written as ``\udc..``, which JSON reads back as they were.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(text.encode("utf-8", "backslashreplace"))


def write_json(path: str | Path, values: Any) -> None:
    """Write indented JSON durably; NaN is refused because JSON has none."""
    write_text(path, json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def install(temporary: Path, path: Path) -> None:
    """Flush a finished file to disk and rename it over ``path``, with the permissions of any new file.

    Raises:
        OutputError: The disk is full, or the folder cannot be written.
    """
    target = Path(os.path.realpath(path))
    try:
        _flush(temporary)
        temporary.chmod(0o666 & ~umask())
        temporary.replace(target)
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror}") from error
    # The file is in place; Windows and some network file systems cannot flush a folder.
    with contextlib.suppress(OSError):
        _flush(target.parent)


def _flush(path: Path) -> None:
    """Ask the system to put a file or folder on the disk."""
    handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def umask() -> int:
    """Return which permissions new files must not have."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
