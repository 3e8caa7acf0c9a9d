"""Rows as JSON lines, which programs read; names come back as they were, bytes that are no text too."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from catsdogs.inference.writers.rows import Row, RowOptions, rounded


class JsonRows:
    r"""An object a line: ``path``, ``label``, ``probability``, ``probabilities`` or ``top``, status ...

    All ASCII: a byte of a name that is not UTF-8 is a lone surrogate such as ``\udce9``, as Python has it.
    """

    def __init__(self, stream: TextIO, class_names: Sequence[str], options: RowOptions) -> None:
        self._stream, self._class_names, self._options = stream, class_names, options

    def write(self, rows: Iterable[Row]) -> None:
        """Add rows."""
        self._stream.writelines(f"{json.dumps(self._values(row))}\n" for row in rows)
        self._stream.flush()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _values(self, row: Row) -> dict[str, Any]:
        values: dict[str, Any] = {"path": row.name}
        if self._options.with_labels:
            values["true"] = row.true
        values |= {"label": row.label, "probability": rounded(row.best[0][1]) if row.best else None}
        if self._options.top_k is None:
            shares = map(rounded, row.probabilities)
            values["probabilities"] = dict(zip(self._class_names, shares, strict=False)) or None
        else:
            values["top"] = [{"label": name, "probability": rounded(p)} for name, p in row.best]
        if self._options.with_unfamiliar:
            values["unfamiliar"] = None if row.unfamiliar is None else rounded(row.unfamiliar)
        return values | {"status": row.status, "reason": row.reason or None}
