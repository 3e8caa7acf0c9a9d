"""A CSV manifest: ``path,label[,group][,split]``, one picture a row, from as many places as there are."""

from __future__ import annotations

import os
import posixpath
import re
import stat
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from catsdogs.core.errors import DataError
from catsdogs.core.records import ImageRecord
from catsdogs.core.spreadsheet import read_rows
from catsdogs.data.labelling import SPLIT_NAMES
from catsdogs.data.stores import root_of

_EXPECTED = "path,label[,group][,split]"
_COLUMNS = ("path", "label", "group", "split")


def read_manifest(path: str) -> list[ImageRecord]:
    """Return the pictures of a manifest in the order of its rows; their ids are its paths.

    The header names the columns, in any order; other columns are not read. Any spreadsheet's CSV will do.
    Paths are absolute or relative to the manifest's folder. ``group`` and ``split`` may be empty.

    Raises:
        DataError: The file, its header or a row is wrong; a row is named by its line. Whether a picture
            exists is not looked at, but its folder must.
    """
    return list(_records(path))


def locate(path: str, base: str = "") -> tuple[str, str]:
    """Return the (root, name) that open a picture; a path may go into an archive: ``photos.zip/cat/1.jpg``.

    Args:
        path: As the user wrote it; nothing needs to exist.
        base: The folder that a relative path starts from; by default the current one.
    """
    whole = Path(base, path)
    text = os.fspath(whole)
    for suffix in re.finditer(r"\.(zip|tar|tar\.gz|tgz|tar\.bz2|tbz2)(?=[/\\])", text, re.IGNORECASE):
        archive, inside = text[: suffix.end()], text[suffix.end() + 1 :]
        if stat.S_ISREG(mode_of(archive)):
            return archive, posixpath.normpath(inside.replace(os.sep, "/"))
    return root_of(whole.parent), whole.name


def mode_of(path: str) -> int:
    """Return the kind and permissions of a file, or 0 where there is none."""
    try:
        return Path(path).stat().st_mode
    except (OSError, ValueError):
        return 0


def _records(path: str) -> Iterator[ImageRecord]:
    base = os.fspath(Path(path).parent)
    first_lines: dict[tuple[str, str], int] = {}
    for line, row in _rows(path):
        where = f"{path}, line {line}"
        record = _record(where, base, row)
        first = first_lines.setdefault((record.root, record.name), line)
        if first != line:
            raise DataError(f"{where}: {record.id} is listed twice, first on line {first}")
        yield record


def _rows(path: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line number, column -> value) of every row that is not blank."""
    rows = read_rows(path)
    first = next(rows, None)
    if first is None:
        raise DataError(f"{path} is empty: expected the columns {_EXPECTED}")
    columns = _checked_header(path, first[1])
    for line, values in rows:
        if len(values) > len(columns):
            raise DataError(
                f"{path}, line {line}: more values than columns (quote a name that holds a comma)"
            )
        yield line, dict(zip(columns, values, strict=False))


def _checked_header(path: str, header: Sequence[str]) -> list[str]:
    """Return the column names, without regard to case and to spaces around them."""
    columns = [name.strip().lower() for name in header]
    counts = Counter(columns)
    missing = [name for name in ("path", "label") if not counts[name]]
    if missing:
        raise DataError(
            f"{path} has no column {' and no column '.join(missing)}: "
            f"its first line is {','.join(header)!r}, expected {_EXPECTED}"
        )
    twice = [name for name in _COLUMNS if counts[name] > 1]
    if twice:
        raise DataError(f"{path} has the column {twice[0]} twice")
    return columns


def _record(where: str, base: str, row: Mapping[str, str]) -> ImageRecord:
    path, label, group, split = (row.get(column, "") for column in _COLUMNS)
    label, group, split = label.strip(), group.strip(), split.strip().lower()
    if not path or not label:
        raise DataError(f"{where}: the {'label' if path else 'path'} is empty")
    if split and split not in SPLIT_NAMES:
        raise DataError(f"{where}: split {split!r} is not one of train, val, test")
    root, name = locate(path, base)
    if not mode_of(root):
        raise DataError(f"{where}: there is no folder {root}")
    return ImageRecord(path, root, name, label, group or None, SPLIT_NAMES.get(split))
