"""What decoding every picture once tells: readable or not, size, format, look, its pixels in short; cached.

The cache is one file a root. A picture is read again alone when its fingerprint (size and time, or checksum
in a zip) has changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, astuple, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from catsdogs.core.cachefolder import cache_folder
from catsdogs.core.errors import OutputError, PictureError
from catsdogs.core.files import replacing
from catsdogs.core.ordered import ordered_map
from catsdogs.core.records import ImageRecord
from catsdogs.data.decode import FORMATS, DecodeLimits, decode
from catsdogs.data.duplicates import THUMBNAIL_PX, Thumbnails
from catsdogs.data.properties import Look, SmallCopies, looks_of, luma_of
from catsdogs.data.stores import open_store

# Raised when what is kept about a picture changes: older caches are then ignored.
AUDIT_VERSION = 2

_LIMITS = DecodeLimits()
_DIGEST_BYTES = 16
# Pictures that are measured together; after an interruption so many are looked at again.
_BLOCK = 32
_NO_DIGEST = bytes(_DIGEST_BYTES)
_NO_LOOK = Look()
_NO_THUMBNAIL = np.zeros((THUMBNAIL_PX, THUMBNAIL_PX), dtype=np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Inspection:
    """What is known about one picture once it has been decoded.

    Attributes:
        reason: Why it cannot be read, or None; then the rest is empty.
        format: ``JPEG``, ``PNG`` ...
        width_px: As it is seen, turned upright.
        height_px: As it is seen, turned upright.
        digest: 16 bytes that are equal for equal pixels.
        thumbnail: Grey uint8 (48, 48).
        file_bytes: Length of the file, before any archive has compressed it.
        look: Brightness, contrast ...; NaN where it cannot be read.
    """

    reason: str | None
    format: str = ""
    width_px: int = 0
    height_px: int = 0
    digest: bytes = _NO_DIGEST
    thumbnail: Thumbnails = field(default_factory=lambda: _NO_THUMBNAIL)
    file_bytes: int = 0
    look: Look = _NO_LOOK


def inspect(
    records: Sequence[ImageRecord], *, workers: int, advance: Callable[[int], None], cache: bool
) -> list[Inspection]:
    """Decode every picture in full, or take what the cache knows; one result a record, in their order.

    Args:
        records: From any number of roots.
        workers: Threads; 0 does the work in the calling thread.
        advance: Called with the number of pictures that are done since the last call.
        cache: Whether to read and write the cache. What an interrupted run has found is kept.

    Raises:
        DataError: A root cannot be opened or listed.
    """
    roots = dict.fromkeys(record.root for record in records)
    caches = {root: _Cache(root) for root in roots} if cache else {}
    results = [caches[record.root].get(record.name) if cache else None for record in records]
    missing = [position for position, known in enumerate(results) if known is None]
    advance(len(records) - len(missing))
    readings = _measured(ordered_map(_read, (records[position] for position in missing), workers=workers))
    try:
        for position, result in zip(missing, readings, strict=True):
            results[position] = result
            if cache:
                caches[records[position].root].add(records[position].name, result)
            advance(1)
    finally:
        for one in caches.values():
            one.save()
    return [result for result in results if result is not None]


def _measured(readings: Iterable[tuple[Inspection, SmallCopies | None]]) -> Iterator[Inspection]:
    """Yield the inspections with their looks and thumbnails, a block at a time."""
    waiting = iter(readings)
    while block := list(islice(waiting, _BLOCK)):
        known = [copies for _, copies in block if copies is not None]
        if known:
            whole, middle = np.stack([one.whole for one in known]), np.stack([one.middle for one in known])
            measured = zip(looks_of(whole, middle), luma_of(whole), strict=True)
        for inspection, copies in block:
            if copies is None:
                yield inspection
            else:
                look, thumbnail = next(measured)
                yield replace(inspection, look=look, thumbnail=thumbnail)


def _read(record: ImageRecord) -> tuple[Inspection, SmallCopies | None]:
    try:
        data = open_store(record.root).read(record.name, _LIMITS.max_bytes)
        picture = decode(data, limits=_LIMITS)
        digest = hashlib.sha256(repr(picture.size).encode())
        digest.update(picture.tobytes())
        copies = SmallCopies.of(picture)
        inspection = Inspection(
            reason=None,
            format=_format(data),
            width_px=picture.width,
            height_px=picture.height,
            digest=digest.digest()[:_DIGEST_BYTES],
            file_bytes=len(data),
        )
        return inspection, copies
    except PictureError as error:
        return Inspection(str(error)), None
    except MemoryError:
        return Inspection("not enough memory"), None


def _format(data: bytes) -> str:
    """Return the format of a file that has just been decoded; only its header is read."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
        return picture.format or "unknown"


class _Cache:
    """What earlier audits found in one root, and what this one adds."""

    def __init__(self, root: str) -> None:
        key = hashlib.sha256(os.fsencode(Path(root).resolve())).hexdigest()[:16]
        self._path = cache_folder() / "audit" / f"{key}.npz"
        self._fingerprints = {entry.name: entry.fingerprint for entry in open_store(root).entries()}
        self._known = {
            name: inspection
            for name, (fingerprint, inspection) in _load(self._path).items()
            if self._fingerprints.get(name) == fingerprint
        }
        self._changed = False

    def get(self, name: str) -> Inspection | None:
        return self._known.get(name)

    def add(self, name: str, inspection: Inspection) -> None:
        # A passing lack of memory is not a property of the picture.
        if name in self._fingerprints and inspection.reason != "not enough memory":
            self._known[name] = inspection
            self._changed = True

    def save(self) -> None:
        """Write what is known; a cache that cannot be written costs time, not the audit."""
        if self._changed:
            known = {name: (self._fingerprints[name], one) for name, one in self._known.items()}
            with contextlib.suppress(OutputError, OSError):
                _save(self._path, known)


def _header() -> dict[str, Any]:
    """Return what a cache must have been made with to be of use."""
    return {"version": AUDIT_VERSION, "thumbnail_px": THUMBNAIL_PX, "limits": asdict(_LIMITS)}


def _save(path: Path, known: dict[str, tuple[str, Inspection]]) -> None:
    inspections = [inspection for _, inspection in known.values()]
    text = _header() | {
        "names": list(known),
        "fingerprints": [fingerprint for fingerprint, _ in known.values()],
        "reasons": [one.reason for one in inspections],
        "formats": [one.format for one in inspections],
    }
    with replacing(path) as temporary, temporary.open("wb") as stream:
        np.savez(
            stream,
            text=np.frombuffer(json.dumps(text).encode("ascii"), dtype=np.uint8),
            sizes=np.array(
                [(one.width_px, one.height_px, one.file_bytes) for one in inspections], dtype=np.int64
            ),
            looks=np.array([astuple(one.look) for one in inspections], dtype=np.float64),
            digests=np.frombuffer(b"".join(one.digest for one in inspections), dtype=np.uint8),
            thumbnails=np.stack([one.thumbnail for one in inspections]),
        )


def _load(path: Path) -> dict[str, tuple[str, Inspection]]:
    """Return name -> (fingerprint, inspection); nothing where the cache is absent or of no use."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            text = json.loads(arrays["text"].tobytes())
            if {key: text[key] for key in _header()} != _header():
                return {}
            n = len(text["names"])
            sizes = arrays["sizes"].reshape(n, 3).tolist()
            looks = arrays["looks"].reshape(n, len(astuple(_NO_LOOK))).tolist()
            digests = arrays["digests"].reshape(n, _DIGEST_BYTES)
            thumbnails = arrays["thumbnails"].reshape(n, THUMBNAIL_PX, THUMBNAIL_PX)
        inspections = [
            Inspection(reason, kind, width, height, digest.tobytes(), small, file_bytes, Look(*look))
            for reason, kind, (width, height, file_bytes), digest, small, look in zip(
                text["reasons"], text["formats"], sizes, digests, thumbnails, looks, strict=True
            )
        ]
        return dict(zip(text["names"], zip(text["fingerprints"], inspections, strict=True), strict=True))
    except Exception:
        # Whatever is wrong with it, a cache that cannot be used is as good as none.
        return {}
