"""What people give to predict -> records without labels, one for every file; no picture is opened.

    folder          recursively, in the order of names
    zip, tar        read where they are; .tar.gz and .tar.bz2 are unpacked to the cache
    one file        also one in an archive: photos.zip/cat/1.jpg
    a table         file.csv with a column path, as manifests and predictions have one
    a pattern       'holiday/**/*.jpg', if nothing is called so
    a list          of paths, which may go into archives

Records are found while they are asked for, and never kept: of a folder only the names of its folders, and of
the files in one of them, are in memory. An archive holds the names of all its files, a pattern those that it
matches, a list or a table all its paths; a list that comes through a pipe is kept on disk.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from catsdogs.core.errors import DataError
from catsdogs.core.records import ImageRecord
from catsdogs.data.archives import opens_as_zip
from catsdogs.data.globs import files_matching, is_pattern
from catsdogs.data.manifest import locate, mode_of
from catsdogs.data.pathlist import PathList
from catsdogs.data.pathtable import read_paths
from catsdogs.data.patterns import NamePatterns
from catsdogs.data.stores import is_drawn, open_store, problems_of, root_of
from catsdogs.data.tars import is_tar

Inputs = str | os.PathLike[str] | PathList | Iterable[str | os.PathLike[str]]
ALL_NAMES = NamePatterns()


class Pictures:
    """Records that can be gone through again and again; each time they are found anew.

    Attributes:
        problems: What could not be looked into, in a few words each: folders, the rest of a damaged tar.
    """

    def __init__(self, find: Callable[[], Iterator[ImageRecord]], problems: Iterable[str] = ()) -> None:
        self._find = find
        self.problems = tuple(problems)
        self._count: int | None = None

    def without(self, unwanted: Callable[[str], bool]) -> Pictures:
        """Return them without the files whose paths are unwanted; what lies in an archive has no path."""

        def find() -> Iterator[ImageRecord]:
            folders: dict[str, bool] = {}
            for record in self._find():
                if record.root not in folders:
                    folders = {record.root: os.path.isdir(record.root)}  # noqa: PTH112 - a million times
                if not (folders[record.root] and unwanted(f"{record.root}/{record.name}")):
                    yield record

        return Pictures(find, self.problems)

    def __iter__(self) -> Iterator[ImageRecord]:
        """Yield the records in their order."""
        return self._find()

    def __len__(self) -> int:
        """Return how many there are; they are counted once."""
        if self._count is None:
            self._count = sum(1 for _ in self._find())
        return self._count


def find_pictures(inputs: Inputs, patterns: NamePatterns = ALL_NAMES) -> Pictures:
    """Return unlabelled records for prediction, one for every file, whatever its name.

    Args:
        inputs: A folder, an archive, one file, a CSV with a column ``path``, or a pattern; or a list of paths
            to files, which may go into an archive. A listed path need not exist: its record fails when it is
            read. Records keep the order of the list; the others are sorted by name.
        patterns: Which files of a folder, an archive or a list are wanted.

    Raises:
        DataError: The folder, archive or file is missing or cannot be opened, or holds no file, or none that
            is wanted; or the list has paths, but none that is wanted.
    """
    if not isinstance(inputs, str | os.PathLike):
        paths = inputs if isinstance(inputs, PathList) else [os.fspath(path) for path in inputs]
        return _in_list(paths, patterns)
    root = inputs if isinstance(inputs, str) else root_of(Path(inputs))
    if not is_drawn(root):
        if root.lower().endswith(".csv") and stat.S_ISREG(mode_of(root)):
            return _in_table(root, patterns)
        if _is_one_file(root):
            return _in_list([root], patterns)
        if is_pattern(root) and not mode_of(root):
            return _matching(root, patterns)
    return _stored(root, patterns)


def _stored(root: str, patterns: NamePatterns) -> Pictures:
    store = open_store(root)

    def find() -> Iterator[ImageRecord]:
        # Opened anew: an archive that has changed since is the user's mistake, not ours.
        return (ImageRecord(name, root, name) for name in open_store(root).names() if patterns.wants(name))

    if next(store.names(), None) is None:
        raise DataError(f"{root} holds no files")
    if next(find(), None) is None:
        raise DataError(f"{root} holds no files that --include and --exclude leave over")
    return Pictures(find, problems_of(store))


def _matching(pattern: str, patterns: NamePatterns) -> Pictures:
    paths = sorted(files_matching(pattern))
    if not paths:
        raise DataError(f"no file matches {pattern}")
    return _in_list(paths, patterns)


def _in_list(paths: Iterable[str], patterns: NamePatterns) -> Pictures:
    if patterns != ALL_NAMES and not any(map(patterns.wants, paths)) and any(True for _ in paths):
        raise DataError("--include and --exclude leave none of the files over")
    return Pictures(lambda: (_listed(path) for path in paths if patterns.wants(path)))


def _in_table(table: str, patterns: NamePatterns) -> Pictures:
    base = Path(table).parent
    # The id is what the table says, so that answers can be joined to it.
    records = [replace(_listed(os.fspath(base / path)), id=path) for path in read_paths(table)]
    wanted = [record for record in records if patterns.wants(record.id)]
    if not wanted:
        left = "--include and --exclude leave none of its paths over" if records else "it has no rows"
        raise DataError(f"{table}: {left}")
    return Pictures(lambda: iter(wanted))


def _is_one_file(root: str) -> bool:
    """Whether a path is a single file; an archive is not."""
    archive, _ = locate(root)
    if stat.S_ISREG(mode_of(archive)):
        return True
    return stat.S_ISREG(mode_of(root)) and not opens_as_zip(root) and not is_tar(root)


def _listed(path: str) -> ImageRecord:
    """Return the record of a path; below the nearest folder or archive that opens."""
    root, name = locate(path)
    while not _opens(root) and Path(root) != Path(root).parent:
        root, name = root_of(Path(root).parent), f"{Path(root).name}/{name}"
    return ImageRecord(path, root, name)


def _opens(root: str) -> bool:
    with contextlib.suppress(DataError):
        open_store(root)
        return True
    return False
