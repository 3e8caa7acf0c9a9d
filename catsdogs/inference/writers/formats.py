"""Which format a file of rows has, and its writer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from catsdogs.core.errors import ConfigError
from catsdogs.inference.writers.csvrows import CsvRows
from catsdogs.inference.writers.jsonlines import JsonRows
from catsdogs.inference.writers.parquet import ParquetRows, require_pyarrow
from catsdogs.inference.writers.rows import RowOptions, RowWriter

FORMATS = ("csv", "jsonl", "parquet")
_SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}


def format_of(path: Path, wanted: str | None = None) -> str:
    """Return the format that is asked for, or that the name's end means; CSV where it means none.

    Raises:
        ConfigError: There is no such format, or what it needs is not installed.
    """
    chosen = wanted or _SUFFIXES.get(path.suffix.lower(), "csv")
    if chosen not in FORMATS:
        raise ConfigError(f"--format {chosen!r} is not one of {', '.join(FORMATS)}")
    if chosen == "parquet":
        require_pyarrow()
    return chosen


def open_rows(path: Path, kind: str, class_names: Sequence[str], options: RowOptions) -> RowWriter:
    """Begin a file of rows."""
    if kind == "parquet":
        return ParquetRows(path, class_names, options)
    stream = path.open("w", newline="", encoding="utf-8")
    return (JsonRows if kind == "jsonl" else CsvRows)(stream, class_names, options)
