"""Tables as people's spreadsheets write them: comma, semicolon or tab, with or without a byte order mark."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from catsdogs.core.errors import DataError

_DELIMITERS = (",", ";", "\t")
# Excel may begin a file with the delimiter that it holds.
_NAMED_DELIMITER = re.compile(r"sep=.\s*", re.IGNORECASE)


def read_rows(path: str | Path, *, skip_spaces: bool = True) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, cells) of every row that is not blank, the header first.

    The delimiter is the one that the first line has most of.

    Args:
        path: Of the file, in UTF-8.
        skip_spaces: Drop spaces after a delimiter; names that may begin with one need them.

    Raises:
        DataError: The file cannot be read, is no text, or its quotes do not match.
    """
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as stream:
            lines = stream.readlines()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {str(error.strerror).lower()}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text: save it as 'CSV UTF-8'") from error
    skipped = int(bool(lines) and _NAMED_DELIMITER.fullmatch(lines[0]) is not None)
    header = next(filter(str.strip, lines[skipped:]), "")
    delimiter = max(_DELIMITERS, key=header.count)
    reader = csv.reader(lines[skipped:], delimiter=delimiter, strict=True, skipinitialspace=skip_spaces)
    try:
        for cells in reader:
            if any(map(str.strip, cells)):
                yield reader.line_num + skipped, cells
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num + skipped}: {error}") from error
