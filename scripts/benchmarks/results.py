"""The results of runs: a CSV with a row a run, whole on the disk after every run."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import NamedTuple

from catsdogs.core.errors import DataError
from catsdogs.core.files import write_text

OK, ERROR = "ok", "error"


class Run(NamedTuple):
    """Which run a row is about."""

    cell: str
    seed: int
    strategy: str


@dataclass(frozen=True)
class Result:
    """What came of one run; figures are NaN where it failed.

    Attributes:
        cell: As ``cells.CELLS`` names it.
        seed: Of the draw of pictures and of the run.
        strategy: As it was asked for.
        status: ``ok`` or ``error``.
        picked: What ``auto`` chose; other runs repeat their strategy.
        candidates: Of the bake-off, where one ran, with a space between them.
        n_train: Training pictures, those that catsdogs takes for validation included.
        seconds: Of the training command, from the pictures to the model; audit and timing trials left out.
        n_a: Test pictures of half a that could be read; likewise below for both halves.
        n_b: Of half b.
        accuracy_a: Share of them that is called right.
        accuracy_b: Of half b.
        log_loss_a: Mean of -ln p(true class).
        log_loss_b: Of half b.
        label: What the caller calls this version of the strategies.
        code: The version of the code, from git where there is one.
        reason: Why it failed, in one line.
    """

    cell: str
    seed: int
    strategy: str
    status: str = OK
    picked: str = ""
    candidates: str = ""
    n_train: int = 0
    seconds: float = math.nan
    n_a: int = 0
    n_b: int = 0
    accuracy_a: float = math.nan
    accuracy_b: float = math.nan
    log_loss_a: float = math.nan
    log_loss_b: float = math.nan
    label: str = ""
    code: str = ""
    reason: str = ""

    @property
    def run(self) -> Run:
        """Which run this is."""
        return Run(self.cell, self.seed, self.strategy)

    @property
    def done(self) -> bool:
        """Whether there are figures."""
        return self.status == OK


_KINDS = {"int": int, "float": float, "str": str}


def read_results(path: Path) -> dict[Run, Result]:
    """Return the results by run; none where there is no file yet.

    Raises:
        DataError: The file is not one of these.
    """
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        try:
            results = [_result(row) for row in reader]
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}, line {reader.line_num}, is not a result: {error}") from error
    return {result.run: result for result in results}


def add_result(path: Path, result: Result) -> None:
    """Put a result into the file, in the place of an earlier one of the same run."""
    results = {**read_results(path), result.run: result}
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Result)], lineterminator="\n")
    writer.writeheader()
    for one in results.values():
        writer.writerow({name: _shown(value) for name, value in asdict(one).items()})
    write_text(path, text.getvalue())


def _result(row: Mapping[str, str]) -> Result:
    values = {field.name: _KINDS[str(field.type)](row[field.name]) for field in fields(Result)}
    return Result(**values)


def _shown(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
