"""Journal: what was answered so far, on disk, so that an interrupted prediction can go on.

A file of JSON lines: first what was asked, then one line a batch. Batches stay whole, so the network sees the
same ones after an interruption as without, and every file that is made from the answers is the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np

from catsdogs.core.errors import ConfigError, DataError, OutputError
from catsdogs.core.records import ImageRecord
from catsdogs.inference.predictor import Answers

_FORMAT = "catsdogs-answers-1"


class Journal:
    """Answers to consecutive records of one process.

    Attributes:
        path: Where it lies.
        settings: What must be equal for a later run to go on from it.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path = path
        # Tuples become lists, as they do on disk.
        self.settings = json.loads(json.dumps(dict(settings)))
        self._stream: IO[bytes] | None = None

    def begin(self, *, resume: bool) -> None:
        """Open it for ``append``: after the last whole line, or empty.

        Raises:
            ConfigError: The interrupted run was asked something else.
            OutputError: It cannot be written.
        """
        end = self._whole_bytes() if resume and self.path.exists() else 0
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self.path.open("r+b" if end else "wb")
            self._stream.truncate(end)
            self._stream.seek(end)
            if not end:
                self._write({"format": _FORMAT, "settings": self.settings})
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror}") from error

    def append(self, answers: Answers) -> None:
        """Add one batch; it is with the system when this returns, so a killed process loses none.

        Raises:
            OutputError: The disk is full.
        """
        readable = [
            row if position not in answers.errors else None
            for position, row in enumerate(answers.logits.tolist())
        ]
        ids = [record.id for record in answers.records]
        try:
            self._write({"ids": ids, "logits": readable, "errors": answers.errors})
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror}") from error

    def replay(self, records: Iterator[ImageRecord], classes: int) -> Iterator[Answers]:
        """Yield what was answered, and take the records that it belongs to from their iterator.

        Raises:
            DataError: The input is not what it was.
        """
        for line in self._lines():
            taken = tuple(islice(records, len(line["ids"])))
            if [record.id for record in taken] != line["ids"]:
                raise DataError("the input has changed since the run was interrupted; leave out --resume")
            blank = [float("nan")] * classes
            logits = np.array([row or blank for row in line["logits"]], dtype=np.float64)
            errors = {int(position): reason for position, reason in line["errors"].items()}
            yield Answers(taken, logits.reshape(len(taken), classes), errors)

    def close(self) -> None:
        """Close it."""
        if self._stream is not None:
            self._stream.close()
        self._stream = None

    def _write(self, values: Mapping[str, Any]) -> None:
        assert self._stream is not None, "begin comes first"
        self._stream.write(json.dumps(values).encode("ascii") + b"\n")
        self._stream.flush()

    def _lines(self) -> Iterator[dict[str, Any]]:
        with self.path.open("rb") as stream:
            stream.readline()
            for line in stream:
                if not line.endswith(b"\n"):
                    return  # the process was killed while it wrote
                yield json.loads(line)

    def _whole_bytes(self) -> int:
        """Return where the last whole line ends; 0 where not even the first is whole."""
        with self.path.open("rb") as stream:
            first = stream.readline()
            if not first.endswith(b"\n"):
                return 0
            self._check(first)
            end = len(first)
            for line in stream:
                if line.endswith(b"\n"):
                    end += len(line)
            return end

    def _check(self, first: bytes) -> None:
        try:
            values = json.loads(first)
            before = values["settings"] if values["format"] == _FORMAT else None
        except (ValueError, KeyError, TypeError):
            before = None
        if before is None:
            raise ConfigError(f"{self.path} is not the journal of an interrupted run; delete it")
        for name, value in self.settings.items():
            if before.get(name) != value:
                raise ConfigError(
                    f"the interrupted run had {name} {before.get(name)!r}, not {value!r}; "
                    "use the same options, or leave out --resume"
                )
