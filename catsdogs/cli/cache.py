"""``catsdogs cache``: what lies in the folder for caches, and a way to be rid of it."""

from __future__ import annotations

import contextlib
import re
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from catsdogs.cli.parsing import command_parser
from catsdogs.core.cachefolder import cache_folder
from catsdogs.core.errors import OutputError
from catsdogs.reporting.console import say, table
from catsdogs.transfer.cache import CacheSummary, FeatureCache

# What is put into the folder besides features: (subfolder, names). The folder may be shared with anything
# else, so that only these names are touched.
_KINDS = {
    "audits": ("audit", r"[0-9a-f]{16}\.npz|near-[0-9a-f]{32}\.json"),
    "unpacked archives": ("archives", r"[0-9a-f]{32}\.(?:zip|tar|cut\.tar)"),
    "converted models": ("engines", r"[0-9a-f]{32}\.onnx"),
    "timing trials": ("", r"trials\.json"),
}
# Of these, what may grow as large as the features.
_CAPPED = {"converted models"}
# A half-written file that nobody has written to for so long was left by a process that was killed.
_ABANDONED_AFTER_S = 3600


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    bytes: int


def run(arguments: list[str]) -> None:
    """Parse the command line, then show or clear."""
    parser = command_parser(
        "cache",
        "Show where caches lie and what they hold, or delete all that catsdogs has put there. "
        "CATSDOGS_CACHE names another folder, CATSDOGS_CACHE_LIMIT (500MB, 2GB, 0) caps the features "
        "and the converted models, each.",
    )
    parser.add_argument("action", nargs="?", choices=("show", "clear"), default="show", help="What to do.")
    actions: dict[str, Callable[[Path], None]] = {"show": _show, "clear": _clear}
    actions[parser.parse_args(arguments).action](cache_folder())


def _show(folder: Path) -> None:
    features = FeatureCache().summary()
    files = {kind: list(_files(folder, kind)) for kind in _KINDS}
    rows = [("features", _rows_text(features), _size_text(features.bytes), _cap_text(features))]
    for kind, found in files.items():
        cap = _cap_text(features) if kind in _CAPPED else ""
        rows.append((kind, _count_text(found), _size_text(sum(file.bytes for file in found)), cap))
    table(f"Caches in {folder}", ("kind", "holds", "size", "at most"), rows)


def _clear(folder: Path) -> None:
    """Delete what can be deleted, say how much that was, and only then complain about the rest."""
    files = [file for kind in _KINDS for file in _files(folder, kind)]
    deletions: list[Callable[[], int]] = [
        *(partial(_delete, file, folder) for file in files),
        FeatureCache().clear,
    ]
    freed_bytes = 0
    problems = []
    for delete in deletions:
        try:
            freed_bytes += delete()
        except OutputError as error:
            problems.append(str(error))
    say(f"{_size_text(freed_bytes)} freed in {folder}")
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise OutputError(problems[0] + more)


def _delete(file: _File, folder: Path) -> int:
    """Delete a file, and its subfolder once it is empty; return the bytes that this freed."""
    try:
        file.path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot delete {file.path}: {error.strerror}") from error
    if file.path.parent != folder:
        with contextlib.suppress(OSError):  # there is more in it
            file.path.parent.rmdir()
    return file.bytes


def _files(folder: Path, kind: str) -> Iterator[_File]:
    """Yield the files of a kind, and what writers that were killed left of such files."""
    subfolder, names = _KINDS[kind]
    try:
        paths = sorted((folder / subfolder).iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise OutputError(f"cannot look into {folder / subfolder}: {error.strerror}") from error
    for path in paths:
        whole = re.fullmatch(names, path.name)
        if whole or re.fullmatch(rf"\.(?:{names})-\w{{8}}\.tmp", path.name):
            with contextlib.suppress(FileNotFoundError):  # it has gone since
                found = path.lstat()
                abandoned = time.time() - found.st_mtime > _ABANDONED_AFTER_S
                if stat.S_ISREG(found.st_mode) and (whole or abandoned):
                    yield _File(path, found.st_size)


def _rows_text(features: CacheSummary) -> str:
    return "not readable now" if features.rows is None else f"{features.rows:,} rows"


def _cap_text(features: CacheSummary) -> str:
    return _size_text(features.cap_bytes) if features.cap_bytes else "off"


def _count_text(files: list[_File]) -> str:
    return "1 file" if len(files) == 1 else f"{len(files):,} files"


def _size_text(size_bytes: int) -> str:
    """Return a size as people read it, in powers of 1,000."""
    for factor, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size_bytes >= factor:
            return f"{size_bytes / factor:,.1f} {unit}"
    return f"{size_bytes} bytes"
