"""Members of an ``.npz`` written from temporary files, so that they never are in memory as a whole."""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from typing import IO

import numpy as np
import numpy.typing as npt


class Texts:
    """A list of strings as ASCII JSON in a temporary file."""

    def __init__(self) -> None:
        self.file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this object
        self.file.write(b"[")
        self.count = 0

    def add(self, value: str) -> None:
        """Append one."""
        self.file.write((b", " if self.count else b"") + json.dumps(value).encode("ascii"))
        self.count += 1

    def finished(self) -> tuple[IO[bytes], tuple[int]]:
        """Return the file, and its length as the shape of an array of bytes."""
        end = self.file.seek(0, 2)
        self.file.write(b"]")
        return self.file, (end + 1,)


def add_whole(archive: zipfile.ZipFile, name: str, values: npt.NDArray[np.generic]) -> None:
    """Write an array that is in memory."""
    with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
        np.lib.format.write_array(stream, values)


def add_member(
    archive: zipfile.ZipFile, name: str, kind: str, file: IO[bytes], shape: tuple[int, ...]
) -> None:
    """Write an array of this dtype and shape whose bytes are those of a file."""
    header = {"descr": kind, "fortran_order": False, "shape": shape}
    file.seek(0)
    with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        shutil.copyfileobj(file, stream, 2**20)
