"""Columns that a user gives for pictures, in a CSV with a ``path``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from catsdogs.core.columns import Column, column_of_text
from catsdogs.core.errors import DataError
from catsdogs.core.spreadsheet import read_rows

# So few different numbers are codes.
_CODES = 6


def read_columns(path: str | Path, ids: Sequence[str]) -> tuple[list[Column], list[str]]:
    """Return the columns of a CSV for these pictures, and a line about what does not match.

    The header names the columns, of which one is ``path``. A path is an id as in ``predictions.csv``, a
    longer path that ends in one, or a bare file name that only one picture has. Another folder is another
    picture: the file may be about a whole data set, of which these are a part. A column whose values are all
    numbers, of more than six different ones, is numeric.

    Args:
        path: Of the CSV.
        ids: Of the N pictures, unique.

    Raises:
        DataError: The file or its header is wrong, a picture is listed twice, or no row matches any.
    """
    header, rows = _read(Path(path))
    where = header.index("path")
    places, alone = {id: position for position, id in enumerate(ids)}, _alone(ids)
    lines: dict[int, list[str]] = {}
    lost = []
    for number, row in rows:
        name = row[where].strip().replace("\\", "/")
        position = _find(name, places, alone)
        if position is None:
            lost.append(name)
        elif position in lines:
            raise DataError(f"{path}, line {number}: {ids[position]} is listed twice")
        else:
            lines[position] = row
    if not lines:
        raise DataError(
            f"{path}: none of its {len(rows):,} paths is a picture of this evaluation, such as {ids[0]}"
        )
    columns = [
        column_of_text(name, {at: row[i] for at, row in lines.items()}, len(ids), words_up_to=_CODES)
        for i, name in enumerate(header)
        if i != where
    ]
    return columns, _problems(Path(path), lost, len(ids) - len(lines), len(ids))


def _read(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header and (line number, cells) of every row that is not blank."""
    lines = list(read_rows(path))
    if not lines:
        raise DataError(f"{path} is empty: expected a column path, and others")
    header = [name.strip() for name in lines[0][1]]
    header = ["path" if name.lower() == "path" else name for name in header]
    if header.count("path") != 1 or len(header) < 2 or len(set(header)) < len(header) or "" in header:
        raise DataError(f"{path}: expected a column path and others with names of their own, not {header}")
    for number, cells in lines[1:]:
        if len(cells) != len(header):
            raise DataError(f"{path}, line {number}: {len(cells)} values, the header has {len(header)}")
    return header, lines[1:]


def _alone(ids: Sequence[str]) -> dict[str, int]:
    """Return file name -> position of the only picture that has it."""
    named = defaultdict(list)
    for position, id in enumerate(ids):
        named[PurePosixPath(id).name].append(position)
    return {name: at[0] for name, at in named.items() if len(at) == 1}


def _find(name: str, places: Mapping[str, int], alone: Mapping[str, int]) -> int | None:
    """Return the position of the picture that a path, or the longest end of it, is the id of.

    Args:
        name: The path.
        places: Id -> position.
        alone: File name -> position, where only one picture has it; for a path that is no more than that.
    """
    parts = name.split("/")
    ends = ("/".join(parts[start:]) for start in range(len(parts)))
    return next((places[end] for end in ends if end in places), alone.get(name))


def _problems(path: Path, lost: Sequence[str], without: int, n: int) -> list[str]:
    parts = []
    if lost:
        paths = "path matches" if len(lost) == 1 else "paths match"
        parts.append(f"{len(lost):,} {paths} no picture or several ({lost[0]})")
    if without:
        parts.append(f"{without:,} of {n:,} pictures have no row")
    return [f"{path}: {'; '.join(parts)}"] if parts else []
