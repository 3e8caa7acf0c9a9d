"""Rows as Parquet, through the extra ``parquet`` (pyarrow)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from catsdogs.core.errors import ConfigError
from catsdogs.inference.writers.cells import text
from catsdogs.inference.writers.rows import Row, RowOptions, rounded

_ROWS_AT_ONCE = 8192


def require_pyarrow() -> None:
    """Refuse early where the extra is not installed.

    Raises:
        ConfigError: It is not.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise ConfigError("Parquet needs pyarrow: pip install 'catsdogs[parquet]'") from error


class ParquetRows:
    r"""The columns of the CSV, with types and nulls; in names other bytes appear as ``\xff``."""

    def __init__(self, path: Path, class_names: Sequence[str], options: RowOptions) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._options, self._named = options, options.named(len(class_names))
        columns = [("path", pa.string()), *([("true", pa.string())] if options.with_labels else [])]
        columns += [("label", pa.string()), ("probability", pa.float64())]
        if options.top_k is None:
            columns += [(text(f"p_{name}"), pa.float64()) for name in class_names]
        else:
            for place in range(2, self._named + 1):
                columns += [(f"label_{place}", pa.string()), (f"probability_{place}", pa.float64())]
        columns += [("unfamiliar", pa.float64())] if options.with_unfamiliar else []
        self._schema = pa.schema([*columns, ("status", pa.string()), ("reason", pa.string())])
        self._classes = len(class_names)
        self._writer, self._pa = pq.ParquetWriter(path, self._schema), pa
        self._waiting: list[list[Any]] = []

    def write(self, rows: Iterable[Row]) -> None:
        """Add rows; they are written some thousands at a time."""
        self._waiting += [self._values(row) for row in rows]
        if len(self._waiting) >= _ROWS_AT_ONCE:
            self._flush()

    def close(self) -> None:
        """Write what waits, and the index that makes it a file."""
        if self._waiting:
            self._flush()
        self._writer.close()

    def _flush(self) -> None:
        columns = [
            self._pa.array(column, field.type)
            for column, field in zip(zip(*self._waiting, strict=True), self._schema, strict=True)
        ]
        self._writer.write_table(self._pa.Table.from_arrays(columns, schema=self._schema))
        self._waiting.clear()

    def _values(self, row: Row) -> list[Any]:
        values: list[Any] = [text(row.name), *([_text(row.true)] if self._options.with_labels else [])]
        if not row.best:
            blanks = self._classes if self._options.top_k is None else 2 * self._named - 2
            values += [None] * (2 + blanks)
        else:
            values += [_text(row.label), rounded(row.best[0][1])]
            if self._options.top_k is None:
                values += map(rounded, row.probabilities)
            else:
                for label, probability in row.best[1:]:
                    values += [text(label), rounded(probability)]
        if self._options.with_unfamiliar:
            values.append(None if row.unfamiliar is None else rounded(row.unfamiliar))
        return [*values, row.status, _text(row.reason or None)]


def _text(name: str | None) -> str | None:
    return None if name is None else text(name)
