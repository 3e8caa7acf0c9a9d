"""Journal: what was answered so far, on disk, so that an interrupted prediction can go on.

A file of JSON lines: first what was asked, then one line a batch. Batches stay whole, so the network sees the
same ones after an interruption as without, and every file that is made from the answers is the same.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np

from catsdogs.core.errors import ConfigError, DataError, OutputError
from catsdogs.core.records import ImageRecord
from catsdogs.inference.engines.engine import Rows
from catsdogs.inference.predictor import Answers

_FORMAT = "catsdogs-answers-1"


class Journal:
    """Answers to consecutive records of one process.

    Attributes:
        path: Where it lies.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stream: IO[bytes] | None = None

    def settings(self) -> dict[str, Any]:
        """Return how the interrupted run was asked; empty where it has left nothing.

        Raises:
            ConfigError: The file is not a journal.
        """
        if not self.path.exists():
            return {}
        with self.path.open("rb") as stream:
            first = stream.readline()
        if not first.endswith(b"\n"):
            return {}  # the process was killed while it wrote
        try:
            values = json.loads(first)
            settings = values["settings"] if values["format"] == _FORMAT else None
        except (ValueError, KeyError, TypeError):
            settings = None
        if not isinstance(settings, dict):
            raise ConfigError(f"{self.path} is not the journal of an interrupted run; delete it")
        return settings

    def require(self, settings: Mapping[str, Any]) -> None:
        """Refuse to go on from a run that was asked something else, as far as these settings tell.

        Raises:
            ConfigError: It was.
        """
        if before := self.settings():
            _require_equal(before, settings)

    def begin(self, settings: Mapping[str, Any], *, resume: bool) -> None:
        """Open it for ``append``: after the last whole line, or empty.

        Args:
            settings: How the model is asked; an interrupted run must have asked it in the same way.
            resume: Go on from what it holds.

        Raises:
            ConfigError: The interrupted run was asked something else.
            OutputError: It cannot be written.
        """
        if resume:
            self.require(settings)
        end = self._whole_bytes() if resume and self.settings() else 0
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self.path.open("r+b" if end else "wb")
            self._stream.truncate(end)
            self._stream.seek(end)
            if not end:
                self._write({"format": _FORMAT, "settings": dict(settings)})
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
            line = {"ids": ids, "logits": readable, "errors": answers.errors}
            if answers.features is not None:
                line |= _packed(answers.features)
            if answers.unfamiliar is not None:
                line["unfamiliar"] = [None if np.isnan(one) else one for one in answers.unfamiliar.tolist()]
            self._write(line)
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
            yield Answers(
                taken,
                logits.reshape(len(taken), classes),
                errors,
                features=_unpacked(line),
                unfamiliar=np.array(line["unfamiliar"], dtype=np.float64) if "unfamiliar" in line else None,
            )

    def complete(
        self,
        records: Iterator[ImageRecord],
        classes: int,
        answer: Callable[[Iterator[ImageRecord]], Iterator[Answers]],
    ) -> Iterator[Answers]:
        """Yield what it holds of these records, then answer the others and note that."""
        yield from self.replay(records, classes)
        for answers in answer(records):
            self.append(answers)
            yield answers

    def close(self) -> None:
        """Close it."""
        if self._stream is not None:
            with contextlib.suppress(OSError):  # every line is flushed: only one that failed before is left
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
        """Return where the last whole line ends."""
        with self.path.open("rb") as stream:
            return sum(len(line) for line in stream if line.endswith(b"\n"))


def _packed(features: Rows) -> dict[str, Any]:
    """Return features (G, D) as JSON keeps them; as decimals they would take four times the space."""
    raw = np.ascontiguousarray(features, dtype="<f4").tobytes()
    return {"features": base64.b64encode(raw).decode("ascii"), "width": features.shape[1]}


def _unpacked(line: Mapping[str, Any]) -> Rows | None:
    if "features" not in line:
        return None
    raw = np.frombuffer(base64.b64decode(line["features"]), dtype="<f4")
    return raw.reshape(-1, line["width"]) if line["width"] else np.empty((0, 0), dtype=np.float32)


def _require_equal(before: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    for name, value in settings.items():
        if before.get(name) != value:
            raise ConfigError(
                f"the interrupted run had {name} {before.get(name)!r}, not {value!r}; "
                "use the same options, or leave out --resume"
            )
