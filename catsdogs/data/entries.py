"""What every store shares: an entry, the words for what cannot be read, and names that differ."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from catsdogs.core.errors import DataError, PictureError


class Entry(NamedTuple):
    """One file of a store.

    Attributes:
        name: Its name inside the store, with forward slashes.
        size: In bytes.
        fingerprint: Changes when the content does: size and time of a file, size and checksum in a zip.
    """

    name: str
    size: int
    fingerprint: str


def failure_reason(error: Exception) -> str:
    """Return why the system refused a file, in a few words that are the same for every file."""
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return (reason or type(error).__name__).lower()


def too_large(limit_bytes: int) -> PictureError:
    """Return the error of a file beyond the limit."""
    megabytes, rest = divmod(limit_bytes, 2**20)
    return PictureError(f"larger than {limit_bytes} bytes" if rest else f"larger than {megabytes} MB")


def version_of(root: str) -> tuple[str | int, ...]:
    """Return what tells one state of a file from another: its path, size and time.

    Raises:
        DataError: There is no such file.
    """
    path = Path(root).absolute()
    try:
        found = path.stat()
    except OSError as error:
        raise DataError(f"{root} cannot be opened: {failure_reason(error)}") from error
    return str(path), found.st_size, found.st_mtime_ns


class _Named(Protocol):
    """A named tuple with a name."""

    @property
    def name(self) -> str: ...

    def _replace(self, *, name: str) -> Any: ...


M = TypeVar("M", bound=_Named)


def renamed_apart(members: Sequence[M]) -> Iterator[M]:
    """Give every member a name of its own; the first of a name keeps it."""
    taken = {member.name for member in members}
    occurrences: Counter[str] = Counter()
    for member in members:
        occurrences[member.name] += 1
        name = member.name
        while occurrences[member.name] > 1 and name in taken:
            name = _numbered(member.name, occurrences[member.name])
            occurrences[member.name] += name in taken
        taken.add(name)
        yield member if name == member.name else member._replace(name=name)


def _numbered(name: str, number: int) -> str:
    return re.sub(r"(\.[^./]*)?\Z", rf" ({number})\1", name, count=1)
