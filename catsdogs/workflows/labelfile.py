"""The CSV of labels that a person edits in a spreadsheet, and that training takes back.

The column ``label`` is the one to edit: another class, or ``remove`` to leave the picture out. ``checked`` is
for the person alone: write anything there to know which rows have been looked at. Every other column is for
reading. Rows and columns may be deleted, sorted and added, as long as ``path`` and ``label`` stay.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from catsdogs.core.errors import DataError
from catsdogs.core.files import replacing
from catsdogs.core.printable import printable
from catsdogs.core.spreadsheet import read_rows
from catsdogs.evaluation.labelcheck import LabelDoubt
from catsdogs.inference.writers.cells import cell, original

REMOVE = "remove"
_COLUMNS = ("path", "label", "given", "suggested", "probability", "score", "suspected", "reason", "checked")
_NEEDED = ("path", "label")
_CHECKED = "before"


@dataclass(frozen=True, slots=True)
class LabelRow:
    """What a person says about a picture.

    Attributes:
        line: Of the file, from 1.
        path: As the file names the picture.
        label: As it was typed, without spaces around it; empty where nothing is said.
        checked: Whether ``checked`` holds anything.
    """

    line: int
    path: str
    label: str
    checked: bool


def write_labels(
    path: Path, doubts: Sequence[LabelDoubt], *, earlier: Mapping[str, tuple[str, str]] | None = None
) -> None:
    """Write the list, the most doubtful first.

    What an earlier file has changed or removed is in it again, so that the new file may take its place.

    Args:
        path: Of the CSV.
        doubts: The list; their label is what training learned from.
        earlier: Id -> the label that the layout gives a picture, and what an earlier file has made of it.

    Raises:
        OutputError: The folder cannot be written.
    """
    known = {doubt.id for doubt in doubts}
    before = earlier or {}
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(_COLUMNS)
        for doubt in doubts:
            given, _ = before.get(doubt.id, (doubt.given, doubt.given))
            names = [cell(name) for name in (doubt.id, doubt.given, given)]
            numbers = [_digits(doubt.probability), _digits(doubt.score)]
            suspected = "yes" if doubt.suspected else "no"
            checked = _CHECKED if doubt.id in before else ""
            reason = cell(doubt.reason)
            writer.writerow([*names, cell(doubt.suggested), *numbers, suspected, reason, checked])
        for id, (given, label) in before.items():
            if id not in known:
                writer.writerow([cell(id), cell(label), cell(given), "", "", "", "no", "", _CHECKED])


def is_edited(path: Path, *, earlier: Mapping[str, tuple[str, str]] | None = None) -> bool:
    """Say whether somebody has changed a list that ``write_labels`` wrote, or marked a row of it.

    Args:
        path: Of the CSV.
        earlier: What an earlier file has changed, as ``write_labels`` was given it.
    """
    if not path.is_file():
        return False
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            header, *rows = csv.reader(stream)
    except (OSError, ValueError, csv.Error):
        return True
    if tuple(header) != _COLUMNS or any(len(row) != len(_COLUMNS) for row in rows):
        return True
    before = {cell(id): cell(label) for id, (_, label) in (earlier or {}).items()}
    return any(_is_edited(dict(zip(_COLUMNS, row, strict=True)), before) for row in rows)


def _is_edited(row: Mapping[str, str], before: Mapping[str, str]) -> bool:
    if row["checked"] == _CHECKED:
        return row["label"] != before.get(row["path"])
    return bool(row["checked"]) or row["label"] != row["given"]


def read_labels_file(path: str) -> list[LabelRow]:
    """Read the edited file, as any spreadsheet writes it; rows without a path and a label are passed over.

    Raises:
        DataError: The file cannot be read, lacks a column, or a row has a label and no path.
    """
    return list(_rows(path))


def _rows(path: str) -> Iterator[LabelRow]:
    rows = read_rows(path, skip_spaces=False)
    _, header = next(rows, (0, []))
    columns = [name.strip().casefold() for name in header]
    _check_header(path, columns, header)
    for line, values in rows:
        row = dict(zip(columns, values, strict=False))
        label = original(row.get("label", "").strip())
        name = row.get("path", "")
        if not name.strip():
            if label:
                raise DataError(f"{path}, line {line}: the label {label!r} has no path")
            continue
        yield LabelRow(line, original(name), label, bool(row.get("checked", "").strip()))


def _check_header(path: str, columns: Sequence[str], header: Sequence[str]) -> None:
    counts = Counter(columns)
    for name in _NEEDED:
        if counts[name] != 1:
            have = f"has the column {name} twice" if counts[name] else f"has no column {name}"
            shown = printable(",".join(header))[:80]
            raise DataError(f"{path} {have}: its first line is {shown!r}, expected {','.join(_COLUMNS)}")


def _digits(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6g}"
