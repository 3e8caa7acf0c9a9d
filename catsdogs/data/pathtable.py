"""A table with a column of paths: a manifest, the predictions of another day, a spreadsheet's list."""

from __future__ import annotations

from collections.abc import Iterator

from catsdogs.core.errors import DataError
from catsdogs.core.printable import printable
from catsdogs.core.spreadsheet import read_rows

_COLUMN = "path"
_SHOWN = 80


def read_paths(path: str) -> Iterator[str]:
    """Yield what the column ``path`` of a CSV holds, in the order of its rows, as it is written there.

    Raises:
        DataError: The file cannot be read, has no such column, or a row has no path.
    """
    rows = read_rows(path)
    _, header = next(rows, (0, []))
    columns = [name.strip().casefold() for name in header]
    if columns.count(_COLUMN) != 1:
        shown = printable(",".join(header))[:_SHOWN]
        raise DataError(f"{path} needs one column called {_COLUMN}: its first line is {shown!r}")
    place = columns.index(_COLUMN)
    for line, values in rows:
        if len(values) <= place or not values[place]:
            raise DataError(f"{path}, line {line}: the path is empty")
        yield values[place]
