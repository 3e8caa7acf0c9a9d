"""Where bytes come from: a folder, an archive or a renderer of drawn pictures, behind one interface."""

from __future__ import annotations

import contextlib
import functools
import os
import stat
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from catsdogs.core.errors import DataError, PictureError
from catsdogs.data.entries import Entry, failure_reason, too_large, version_of

# A pipe must not make the reader wait, and a terminal must not become ours.
_OPEN_FLAGS = (
    os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
)


class Store(Protocol):
    """A place that holds pictures; it may be pickled, and shared by threads and forked processes.

    Attributes:
        root: What it was opened with.
    """

    root: str

    def entries(self) -> list[Entry]:
        """Return every regular file, sorted by name.

        Raises:
            DataError: The store cannot be listed.
        """
        ...

    def names(self) -> Iterator[str]:
        """Yield the names of ``entries`` without keeping them, where that is possible.

        Raises:
            DataError: The store cannot be listed.
        """
        ...

    def read(self, name: str, limit_bytes: int) -> bytes:
        """Return the bytes of one file.

        Raises:
            PictureError: It cannot be read, or is larger than ``limit_bytes``.
        """
        ...


def problems_of(store: Store) -> tuple[str, ...]:
    """Return what of a store could not be looked into when it was listed, in a few words each."""
    problems = [f"folder {name} cannot be listed" for name in getattr(store, "unreadable_folders", ())]
    if damage := getattr(store, "damage", None):
        problems.append(f"{store.root}: {damage}; what lies behind is not there")
    return tuple(problems)


def is_drawn(root: str) -> bool:
    """Whether a root asks for drawn pictures: ``drawn``, ``drawn:...``, ``drawn?...``; not ``./drawn``."""
    return root == "drawn" or root.startswith(("drawn:", "drawn?"))


def root_of(folder: Path) -> str:
    """Return the root that opens a folder, whatever it is called."""
    root = os.fspath(folder)
    return f"./{root}" if is_drawn(root) else root


def open_store(root: str) -> Store:
    """Return the store of a folder, a zip, a tar or drawn pictures; an archive is opened once a process.

    Raises:
        DataError: The root is missing, or is neither a folder nor a readable archive.
        OutputError: What it holds packed does not fit into the cache.
    """
    if is_drawn(root):
        from catsdogs.data.generated import DrawnStore

        return DrawnStore(root)
    if not root:
        raise DataError("the path of the pictures is empty")
    try:
        mode = Path(root).stat().st_mode
    except (OSError, ValueError) as error:
        raise DataError(f"{root} cannot be opened: {failure_reason(error)}") from error
    if stat.S_ISDIR(mode):
        return FolderStore(root)
    if not stat.S_ISREG(mode):
        raise DataError(f"{root} is not a folder or a zip")
    return _archive_opener(root, *version_of(root))(root)


# A look into a compressed tar costs as much as many pictures.
@functools.lru_cache(maxsize=256)
def _archive_opener(root: str, *_version: str | int) -> Callable[[str], Store]:
    from catsdogs.data.archives import open_zip, opens_as_zip
    from catsdogs.data.tars import is_tar, open_tar

    return open_zip if opens_as_zip(root) or not is_tar(root) else open_tar


class FolderStore:
    """The regular files below a folder.

    Links to folders are followed, but each folder is visited once, by its name without links where there is
    one; a link to a folder above the root is a loop and is not followed.

    Attributes:
        root: The folder.
        unreadable_folders: Names of the folders that the last ``entries`` could not list.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self.unreadable_folders: tuple[str, ...] = ()

    def entries(self) -> list[Entry]:
        """Return every regular file, sorted by name; what cannot be listed is in ``unreadable_folders``.

        Raises:
            DataError: The root itself cannot be listed.
        """
        found = []
        for name in self.names():
            with contextlib.suppress(OSError):  # gone since it was listed
                state = Path(self.root, name).stat()
                found.append(Entry(name, state.st_size, f"{state.st_size}-{state.st_mtime_ns}"))
        return found

    def names(self) -> Iterator[str]:
        """Yield the names of ``entries``; only folders, and the files of one folder, are kept in memory.

        Raises:
            DataError: The root itself cannot be listed.
        """
        folders = self._folders()
        pending = [self._children("", folders)]
        while pending:
            for child in pending[-1]:
                if child.endswith("/"):
                    pending.append(self._children(child, folders))
                    break
                yield child
            else:
                pending.pop()

    def read(self, name: str, limit_bytes: int) -> bytes:
        """Return the bytes of one file; never waits for a pipe or a device.

        Raises:
            PictureError: It cannot be read, or is larger than ``limit_bytes``.
        """
        try:
            handle = os.open(Path(self.root, name), _OPEN_FLAGS)
            try:
                return _read_regular(handle, limit_bytes)
            finally:
                os.close(handle)
        except (OSError, ValueError) as error:
            raise PictureError(failure_reason(error)) from error

    def _folders(self) -> set[str]:
        """Return the prefix of every folder that is to be visited; note those that cannot be listed."""
        unreadable: dict[str, str] = {}
        found = _visit(self.root, unreadable)
        if "" in unreadable:
            raise DataError(f"{self.root} cannot be listed: {unreadable['']}")
        self.unreadable_folders = tuple(sorted(unreadable))
        return found

    def _children(self, prefix: str, folders: set[str]) -> Iterator[str]:
        """Return the files and, with a slash at their end, the folders in a folder, in the order of names."""
        found = []
        with contextlib.suppress(OSError), os.scandir(os.fspath(Path(self.root, prefix))) as listing:
            for child in listing:
                name = prefix + child.name
                if f"{name}/" in folders:
                    found.append(f"{name}/")
                elif _is(child.is_file):
                    found.append(name)
        return iter(sorted(found))


def _read_regular(handle: int, limit_bytes: int) -> bytes:
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode):
        raise PictureError("not a regular file")
    if found.st_size > limit_bytes:
        raise too_large(limit_bytes)
    with open(handle, "rb", closefd=False) as stream:
        return stream.read(found.st_size)


def _visit(root: str, unreadable: dict[str, str]) -> set[str]:
    """Return every folder below the root, once, as a prefix of names; note those that cannot be listed."""
    found: set[str] = set()
    visited = _folders_above(root)
    pending = deque([(root, "")])
    while pending:
        path, prefix = pending.popleft()
        try:
            identity = _identity(Path(path))
            if identity in visited:
                continue
            visited.add(identity)
            with os.scandir(path) as listing:
                inside = sorted(
                    (child for child in listing if _is(child.is_dir)), key=lambda child: child.name
                )
        except OSError as error:
            unreadable[prefix.rstrip("/")] = failure_reason(error)
            continue
        found.add(prefix)
        for child in inside:
            # Links wait until real folders are done: a folder with two names is known by its own.
            add = pending.append if child.is_symlink() else pending.appendleft
            add((child.path, f"{prefix}{child.name}/"))
    return found


def folders_below(root: str) -> list[str]:
    """Return every folder below a root that its store visits, sorted: ``""``, ``a/``, ``a/b/``.

    There is none where the root cannot be listed.
    """
    return sorted(_visit(root, {}))


def _is(question: Callable[[], bool]) -> bool:
    """Answer no where a link leads in a circle."""
    try:
        return question()
    except OSError:
        return False


def _folders_above(root: str) -> set[tuple[int, int]]:
    above = set()
    for folder in Path(root).resolve().parents:
        with contextlib.suppress(OSError):
            above.add(_identity(folder))
    return above


def _identity(folder: Path) -> tuple[int, int]:
    found = folder.stat()
    return found.st_dev, found.st_ino
