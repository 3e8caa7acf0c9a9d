"""The ``.npz`` of features: what the head was given for each readable picture, for other programs."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import numpy as np

from catsdogs.core.files import replacing
from catsdogs.inference.engines.engine import Rows
from catsdogs.inference.writers.npzmembers import Texts, add_member


class FeaturesFile:
    """Collects ids and features in temporary files, and joins them in ``save``.

    ``ids`` of the file is a JSON list as bytes, as in the file of the logits: names need not be Unicode.
    ``features`` is float32 (N, D), a row for each of them.
    """

    def __init__(self) -> None:
        self._ids = Texts()
        self._features: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this object
        self._width = 0

    def add(self, ids: Iterable[str], features: Rows) -> None:
        """Add the names and features (G, D) of some readable pictures."""
        for name in ids:
            self._ids.add(name)
        if len(features):
            self._width = features.shape[1]
            self._features.write(np.ascontiguousarray(features, dtype="<f4").tobytes())

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        shape = (self._ids.count, self._width)
        with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            add_member(archive, "ids", "|u1", *self._ids.finished())
            add_member(archive, "features", "<f4", self._features, shape)
        self.close()

    def close(self) -> None:
        """Let go of the temporary files."""
        self._features.close()
        self._ids.file.close()
