"""Rows as CSV, which spreadsheets open."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from typing import TextIO

from catsdogs.inference.writers.cells import cell
from catsdogs.inference.writers.rows import Row, RowOptions


class CsvRows:
    """Rows ``path[,true],label,probability,p_<class>...[,unfamiliar],status,reason``, one a picture.

    With ``top_k`` the columns ``label_2,probability_2,...`` take the place of ``p_<class>...``. Numbers have
    nine significant digits; what names may hold is told in ``cells``.
    """

    def __init__(self, stream: TextIO, class_names: Sequence[str], options: RowOptions) -> None:
        self._stream, self._writer = stream, csv.writer(stream)
        self._options, self._classes = options, len(class_names)
        header = ["path", *(["true"] if options.with_labels else []), "label", "probability"]
        if options.top_k is None:
            header += [cell(f"p_{name}") for name in class_names]
        else:
            for place in range(2, options.named(self._classes) + 1):
                header += [f"label_{place}", f"probability_{place}"]
        header += ["unfamiliar"] if options.with_unfamiliar else []
        self._writer.writerow([*header, "status", "reason"])

    def write(self, rows: Iterable[Row]) -> None:
        """Add rows."""
        self._writer.writerows(self._cells(row) for row in rows)
        self._stream.flush()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _cells(self, row: Row) -> list[str]:
        cells = [cell(row.name), *([cell(row.true or "")] if self._options.with_labels else [])]
        numbers = [f"{p:.9g}" for p in row.probabilities]
        if not row.best:
            blanks = (
                self._classes if self._options.top_k is None else 2 * self._options.named(self._classes) - 2
            )
            cells += [""] * (2 + blanks)
        elif self._options.top_k is None:
            cells += [cell(row.label or ""), f"{row.best[0][1]:.9g}", *numbers]
        else:
            cells += [cell(row.label or ""), f"{row.best[0][1]:.9g}"]
            for label, probability in row.best[1:]:
                cells += [cell(label), f"{probability:.9g}"]
        if self._options.with_unfamiliar:
            cells.append("" if row.unfamiliar is None else f"{row.unfamiliar:.9g}")
        return [*cells, row.status, cell(row.reason)]
