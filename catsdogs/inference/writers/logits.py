"""The ``.npz`` of ``Predictions``, written as answers come; it never is in memory as a whole."""

from __future__ import annotations

import json
import tempfile
import zipfile
from array import array
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from catsdogs.core.files import replacing
from catsdogs.core.predictions import UNLABELLED, FloatArray
from catsdogs.inference.writers.npzmembers import Texts, add_member, add_whole


class LogitsFile:
    """Collects ids, logits and errors in temporary files, and joins them in ``save``.

    Args:
        class_names: In the order of the logits.
        with_unfamiliar: Whether every ``add`` tells how strange the pictures are.
    """

    def __init__(self, class_names: Sequence[str], *, with_unfamiliar: bool = False) -> None:
        self._class_names = list(class_names)
        self._ids, self._reasons = Texts(), Texts()
        self._logits: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this object
        self._positions = array("q")
        self._unfamiliar = array("d") if with_unfamiliar else None

    def add(
        self,
        ids: Iterable[str],
        logits: FloatArray,
        errors: Mapping[int, str],
        unfamiliar: FloatArray | None = None,
    ) -> None:
        """Add some pictures: their names, logits (B, C), by position the errors, and strangeness (B,)."""
        if self._unfamiliar is not None and unfamiliar is not None:
            self._unfamiliar.extend(unfamiliar.tolist())
        for position in sorted(errors):
            self._positions.append(self._ids.count + position)
            self._reasons.add(errors[position])
        for name in ids:
            self._ids.add(name)
        self._logits.write(np.ascontiguousarray(logits, dtype="<f8").tobytes())

    def save(self, path: Path) -> None:
        """Write the file that ``Predictions.load`` reads, whole or not at all."""
        count = self._ids.count
        labels = np.full(count, UNLABELLED, dtype="<i8")
        positions = np.array(self._positions, dtype="<i8")
        with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            add_member(archive, "ids", "|u1", *self._ids.finished())
            classes = np.frombuffer(json.dumps(self._class_names).encode("ascii"), dtype="|u1")
            add_whole(archive, "class_names", classes)
            add_member(archive, "logits", "<f8", self._logits, (count, len(self._class_names)))
            add_whole(archive, "labels", labels)
            add_whole(archive, "error_positions", positions)
            add_member(archive, "error_reasons", "|u1", *self._reasons.finished())
            if self._unfamiliar is not None:
                add_whole(archive, "unfamiliar", np.array(self._unfamiliar, dtype="<f8"))
        self.close()

    def close(self) -> None:
        """Let go of the temporary files."""
        for file in (self._logits, self._ids.file, self._reasons.file):
            file.close()
