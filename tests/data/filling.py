"""Folders and zips of files for the tests of what reads them."""

import zipfile
from pathlib import Path


def fill(root: Path, names: list[str], data: bytes = b"") -> str:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return str(root)


def pack(path: Path, files: dict[str, bytes]) -> str:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return str(path)
