"""Pictures sorted into folders, one a class, as links or copies; nothing is ever overwritten."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from catsdogs.core.errors import OutputError, PictureError
from catsdogs.core.files import umask
from catsdogs.core.records import ImageRecord
from catsdogs.data.decode import DecodeLimits
from catsdogs.data.stores import open_store
from catsdogs.inference.writers.cells import cell
from catsdogs.inference.writers.rows import ERROR, Row

_MOST_OF_A_NAME = 1_000_000
_LONGEST_BYTES = 200  # file systems take 255; a number may be added
_MOST_PARTS, _MOST_BYTES = (
    16,
    1000,
)  # of a whole name; systems take some 4,000 bytes, the folder's own among them
_ODD = re.compile(r"[\x00-\x1f\x7f/\\:*?\"<>|]")
_LONE = re.compile("[\ud800-\udc7f\udd00-\udfff]")  # surrogates that stand for no byte
_LIMIT_BYTES = DecodeLimits().max_bytes


class SortedFolder:
    """Folders for each class, ``abstain`` and ``unreadable``, whose reasons are in ``unreadable.csv``.

    A picture keeps its own folders below that of its class. What a name may hold is cut down to what cannot
    leave the folder: ``..``, roots, control characters and what Windows refuses are replaced. A picture in an
    archive becomes a file, since nothing can be linked to; an unreadable one there is in the list only if its
    bytes cannot be had.
    """

    def __init__(self, folder: Path, class_names: Sequence[str], *, copy: bool) -> None:
        self._folder, self._copy = folder, copy
        taken = {_safe(name).casefold() for name in class_names}
        self._unreadable = _free("unreadable", taken)
        self._reasons = io.StringIO(newline="")
        self._list = csv.writer(self._reasons)

    def add(self, record: ImageRecord, row: Row) -> None:
        """Put one picture where its row says.

        Raises:
            OutputError: It cannot be written.
        """
        if row.status == ERROR:
            self._list.writerow([cell(row.name), cell(row.reason)])
        home = self._unreadable if row.status == ERROR else _safe(row.label or row.status)
        try:
            self._put(record, Path(home, *_safe_parts(record.id)))
        except PictureError:
            return  # gone, or nothing that could be copied: its reason is in the list
        except OSError as error:
            raise OutputError(f"cannot write below {self._folder}: {error.strerror}") from error

    def finish(self) -> None:
        """Write the list of reasons, under a number where there is one of another run."""
        if listed := self._reasons.getvalue():
            self._new_file(Path("unreadable.csv"), f"path,reason\r\n{listed}".encode())

    def _put(self, record: ImageRecord, place: Path) -> None:
        if not self._copy and Path(record.root).is_dir():
            source = Path(record.root, record.name)
            if not source.is_file():
                raise PictureError("not a regular file")
            self._new(place, source, None)
        else:
            self._new_file(place, open_store(record.root).read(record.name, _LIMIT_BYTES))

    def _new_file(self, place: Path, content: bytes) -> None:
        self._new(place, None, content)

    def _new(self, place: Path, source: Path | None, content: bytes | None) -> None:
        """Make a link to the source, or a file of this content, under the first name that is free."""
        place = self._with_folder(place)
        for number in range(1, _MOST_OF_A_NAME):
            target = self._folder / _numbered(place, number)
            try:
                if source is not None:
                    self._link(source, target)
                else:
                    _write_new(target, content or b"")
                return
            except FileExistsError:
                if _is_the_same(target, source, content):
                    return

    def _with_folder(self, place: Path) -> Path:
        """Make the folder of a picture; where another picture has its name, it becomes part of the name."""
        inner = [self._folder / parent for parent in place.parents][:-2]
        try:
            if any(folder.is_symlink() for folder in inner):
                raise FileExistsError  # what lies behind a link is not ours
            (self._folder / place).parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            place = Path(place.parts[0], _safe("-".join(place.parts[1:])))
            (self._folder / place).parent.mkdir(parents=True, exist_ok=True)
        return place

    def _link(self, source: Path, target: Path) -> None:
        # Relative, so that pictures and folder may be moved together; without links in between it is right.
        target.symlink_to(os.path.relpath(source.absolute(), target.parent.resolve()))


def _write_new(target: Path, content: bytes) -> None:
    """Write a file whole, but never over another one."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".sorting-")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        Path(name).chmod(0o666 & ~umask())
        try:
            os.link(name, target)
        except FileExistsError:
            raise
        except OSError:  # a file system without links, as on memory cards
            with target.open("xb") as stream:
                stream.write(content)
    finally:
        Path(name).unlink()


def _is_the_same(target: Path, source: Path | None, content: bytes | None) -> bool:
    """Whether an earlier run, or the part before an interruption, has put it there."""
    try:
        if source is not None:
            return target.is_symlink() and target.resolve() == source.resolve()
        return target.is_file() and not target.is_symlink() and target.read_bytes() == content
    except OSError:
        return False


def _safe_parts(name: str) -> list[str]:
    parts = [part for part in re.split(r"[/\\]", name) if part not in ("", ".", "..")]
    safe = [_safe(part) for part in parts] or ["unnamed"]
    if len(safe) > _MOST_PARTS or sum(len(os.fsencode(part)) + 1 for part in safe) > _MOST_BYTES:
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        return [f"{digest}-{safe[-1]}"]
    return safe


def _safe(part: str) -> str:
    """Return one part of a path that means nothing but itself, on any system."""
    part = _ODD.sub("_", part).rstrip(". ") or "_"
    encoded = _LONE.sub("_", part).encode("utf-8", "surrogateescape")
    if len(encoded) <= _LONGEST_BYTES:
        return os.fsdecode(encoded)
    suffix = Path(part).suffix[:10]
    return os.fsdecode(encoded[:_LONGEST_BYTES]) + (suffix if suffix.isascii() else "")


def _numbered(place: Path, number: int) -> Path:
    return place if number == 1 else place.with_name(f"{place.stem} ({number}){place.suffix}")


def _free(name: str, taken: set[str]) -> str:
    while name.casefold() in taken:
        name += "_"
    return name
