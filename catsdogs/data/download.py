"""Fetching the public cats and dogs: resumable, checksummed, and nothing to ask where the file is there."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from catsdogs.core.errors import DataError, OutputError

_TIMEOUT_S = 30
_PIECE_BYTES = 2**20
_RANGE_REFUSED = 416

Opener = Callable[..., Any]
Advance = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Archive:
    """A file that anybody may fetch, and how to know that it is the right one.

    Attributes:
        url: Where it is; ``https``, or ``http`` for a mirror.
        size_bytes: Its size.
        sha256: Its checksum, in hexadecimal.
    """

    url: str
    size_bytes: int
    sha256: str

    @property
    def name(self) -> str:
        """The last part of the address: what the file is called on disk."""
        return self.url.rpartition("/")[2]


PUBLIC_ARCHIVE = Archive(
    "https://download.microsoft.com/download/3/E/1/3E1C3F21-ECDB-4869-8368-6DEBA77B919F/kagglecatsanddogs_5340.zip",
    824_887_076,
    "b7974bd00a84a99921f36ee4403f089853777b5ae8d151c76a86e64900334af9",
)


def download_public_archive(
    folder: Path,
    *,
    advance: Advance | None = None,
    opener: Opener = urllib.request.urlopen,
    archive: Archive = PUBLIC_ARCHIVE,
) -> Path:
    """Return the path of the archive, fetched into ``folder`` unless it is there already.

    What was fetched before an interruption is kept beside it in a ``.part`` file and continued. Two processes
    that fetch at once write the same bytes to the same places, so neither can spoil the other's file.

    Args:
        folder: Made if it is missing.
        advance: Told the number of bytes that have come since it was last told; first those of an earlier
            attempt. Negative where the server makes us start over.
        opener: What opens a ``urllib.request.Request``, within ``timeout`` seconds.
        archive: What to fetch.

    Raises:
        DataError: There is no network, the server refuses, or the file is not the right one.
        OutputError: The folder cannot be written.
    """
    target = folder / archive.name
    if _is_right(target, archive):
        return target
    part = target.with_name(f"{target.name}.part")
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        # Not for appending: every byte goes to its own place, whoever else writes it.
        with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)), "r+b") as stream:
            _complete(stream, archive, _Source(archive, folder, opener), advance or (lambda _: None))
    return _accepted(part, target, archive)


def _complete(stream: BinaryIO, archive: Archive, source: _Source, advance: Advance) -> None:
    """Fill the file up to its size, for as long as every attempt gets further than the one before."""
    have = stream.seek(0, os.SEEK_END)
    if have > archive.size_bytes:
        have = stream.truncate(0)
    advance(have)
    furthest = -1
    while have < archive.size_bytes:
        if have <= furthest:
            raise source.failure(
                f"the connection broke at {have:,} of {archive.size_bytes:,} bytes; run again"
            )
        furthest = have
        with source.opened(have) as (start, pieces):
            advance(start - have)
            have = stream.seek(start)
            for piece in pieces:
                stream.write(piece)
                have += len(piece)
                advance(len(piece))
    stream.flush()
    os.fsync(stream.fileno())


@dataclass(frozen=True)
class _Source:
    """The server of an archive; all that can go wrong with it becomes a DataError."""

    archive: Archive
    folder: Path
    opener: Opener

    def failure(self, why: str) -> DataError:
        return DataError(
            f"cannot fetch {self.archive.url}: {why} (or fetch it with a browser into {self.folder})"
        )

    @contextlib.contextmanager
    def opened(self, have: int) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Yield the position from which the server sends the file, and its bytes from there."""
        try:
            response = self._respond(have)
        except urllib.error.HTTPError as error:
            error.close()
            raise self.failure(f"the server answers {error.code} {error.reason}") from error
        except (OSError, http.client.HTTPException) as error:
            raise self.failure(f"no answer, {getattr(error, 'reason', None) or error}") from error
        with contextlib.closing(response):
            start = self._start(response)
            if start not in (0, have):
                raise self.failure("the server sends another file")
            yield start, _pieces(response, self.archive.size_bytes - start)

    def _respond(self, have: int) -> Any:
        """Ask for the rest of the file, or for all of it where the server knows no such rest."""
        headers = {"User-Agent": "catsdogs", **({"Range": f"bytes={have}-"} if have else {})}
        request = urllib.request.Request(self.archive.url, headers=headers)  # noqa: S310 (not from outside)
        try:
            return self.opener(request, timeout=_TIMEOUT_S)
        except urllib.error.HTTPError as error:
            if error.code != _RANGE_REFUSED or not have:
                raise
            error.close()
            return self._respond(0)

    def _start(self, response: Any) -> int:
        """Return where the answer begins in the file, -1 where it is about another file."""
        size = self.archive.size_bytes
        if response.status == http.HTTPStatus.PARTIAL_CONTENT:
            match = re.fullmatch(rf"bytes (\d+)-{size - 1}/{size}", response.headers.get("Content-Range", ""))
            return int(match[1]) if match else -1
        return 0 if response.headers.get("Content-Length") == str(size) else -1


def _pieces(response: Any, most_bytes: int) -> Iterator[bytes]:
    """Yield what arrives, until it ends or the connection breaks."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        while most_bytes > 0 and (piece := response.read(min(most_bytes, _PIECE_BYTES))):
            most_bytes -= len(piece)
            yield piece


def _accepted(part: Path, target: Path, archive: Archive) -> Path:
    """Check the whole file and give it its name."""
    if _is_right(part, archive):
        with _writing(target.parent), contextlib.suppress(FileNotFoundError):
            part.replace(target)
            return target
    if _is_right(target, archive):
        return target  # another process was faster
    part.unlink(missing_ok=True)
    raise DataError(
        f"what {archive.url} sent has another checksum and was removed; "
        f"run again, or fetch it with a browser into {target.parent}"
    )


def _is_right(path: Path, archive: Archive) -> bool:
    """Whether a file has the size and the checksum of the archive."""
    with contextlib.suppress(OSError):
        if path.stat().st_size == archive.size_bytes:
            with path.open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest() == archive.sha256
    return False


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror or error}") from error
