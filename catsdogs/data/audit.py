"""Audit: every picture is decoded once, before any training.

It says what cannot be read and why, what occurs twice, and what is odd about the set as a whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from catsdogs.core.cachefolder import cache_folder
from catsdogs.core.errors import DataError, OutputError
from catsdogs.core.files import write_json
from catsdogs.core.records import ImageRecord
from catsdogs.core.stored import Stored
from catsdogs.data.duplicates import LARGE_GROUP, Thumbnails, is_flat, near_groups
from catsdogs.data.inspection import AUDIT_VERSION, Inspection, inspect
from catsdogs.data.stores import open_store, problems_of

Groups = tuple[tuple[str, ...], ...]

# What is worth a warning.
_IMBALANCE = 10
_MANY_UNREADABLE = 0.05
_TINY_PX = 32


@dataclass(frozen=True, slots=True)
class Spread:
    """The smallest, middle and largest of some lengths, in pixels; all 0 where there are none."""

    min: float
    median: float
    max: float

    @classmethod
    def of(cls, lengths: Sequence[int]) -> Spread:
        """Return the spread of any number of lengths."""
        return cls(min(lengths), statistics.median(lengths), max(lengths)) if lengths else cls(0, 0, 0)


@dataclass(frozen=True)
class AuditReport(Stored):
    """What decoding every picture found.

    Attributes:
        n: Pictures that were looked at.
        unreadable: Id -> reason.
        class_counts: Class -> readable pictures; classes in alphabetical order, 0 where none can be read.
        class_unreadable: Class -> unreadable pictures.
        width_px: As seen, turned upright; readable pictures only.
        height_px: As seen, turned upright; readable pictures only.
        formats: Format -> readable pictures, the most frequent first.
        exact_duplicates: Groups of ids with the same pixels.
        near_duplicates: Groups of ids that show the same photo with different pixels; exact copies of a
            member are listed with it.
        conflicting_duplicates: The groups of either kind whose members have different labels.
        n_groups: Groups the user or the layout gave, such as patients.
        largest_group: Pictures in the largest of them.
        mixed_groups: How many of them have pictures in several classes.
        warnings: Sentences for the user.
    """

    KIND: ClassVar[str] = "an audit"

    n: int
    unreadable: Mapping[str, str]
    class_counts: Mapping[str, int]
    class_unreadable: Mapping[str, int]
    width_px: Spread
    height_px: Spread
    formats: Mapping[str, int]
    exact_duplicates: Groups
    near_duplicates: Groups
    conflicting_duplicates: Groups
    n_groups: int
    largest_group: int
    mixed_groups: int
    warnings: tuple[str, ...]

    @property
    def n_readable(self) -> int:
        """Pictures that could be decoded."""
        return self.n - len(self.unreadable)

    @property
    def duplicate_groups(self) -> Groups:
        """Near duplicates, and the exact ones that are in none of their groups."""
        near = {member for group in self.near_duplicates for member in group}
        return self.near_duplicates + tuple(group for group in self.exact_duplicates if group[0] not in near)

    @cached_property
    def ties(self) -> Mapping[str, str]:
        """Id -> key, for every picture with a duplicate; equal keys belong in one split."""
        return {member: group[0] for group in self.duplicate_groups for member in group}

    def readable(self, records: Sequence[ImageRecord]) -> tuple[ImageRecord, ...]:
        """Return the records that can be read."""
        return tuple(record for record in records if record.id not in self.unreadable)

    def rows(self) -> list[tuple[str, str]]:
        """Return (what, figure) for a table."""
        rows = [("pictures", str(self.n)), ("readable", str(self.n_readable))]
        reasons = Counter(reason.split(" (")[0] for reason in self.unreadable.values()).most_common()
        rows += [("unreadable", f"{count}: {reason}") for reason, count in reasons]
        rows += [(f"class {name}", str(count)) for name, count in self.class_counts.items()]
        for side, spread in (("width", self.width_px), ("height", self.height_px)):
            rows.append((f"{side}, px", f"{spread.min:g} to {spread.max:g}, median {spread.median:g}"))
        rows.append(("formats", ", ".join(f"{name} {count}" for name, count in self.formats.items())))
        rows.append(("exact duplicates", _sizes(self.exact_duplicates)))
        rows.append(("near duplicates", _sizes(self.near_duplicates)))
        if self.n_groups:
            rows.append(("groups", f"{self.n_groups}, the largest of {self.largest_group} pictures"))
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> AuditReport:
        """Build the report from the plain values of ``to_dict``.

        Raises:
            DataError: A part is missing or has another form.
        """
        groups = ("exact_duplicates", "near_duplicates", "conflicting_duplicates")
        try:
            parts = dict(values)
            parts |= {side: Spread(**parts[side]) for side in ("width_px", "height_px")}
            parts |= {kind: tuple(tuple(group) for group in parts[kind]) for kind in groups}
            return cls(**parts | {"warnings": tuple(parts["warnings"])})
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"this is not an audit: {error}") from error

    def save(self, path: str | Path) -> None:
        """Write ``audit.json`` durably."""
        write_json(path, self.to_dict())


def audit(
    records: Sequence[ImageRecord],
    *,
    workers: int,
    advance: Callable[[int], None] = lambda _: None,
    cache: bool = True,
) -> AuditReport:
    """Decode every picture in full, in threads, and report what was found.

    Args:
        records: With unique ids.
        workers: Threads; 0 does the work in the calling thread.
        advance: Called with the number of pictures that are done since the last call; moves the caller's bar.
        cache: Whether pictures that have not changed since an earlier audit may be taken from its cache.

    Raises:
        DataError: A root cannot be opened or listed.
    """
    inspections = inspect(records, workers=workers, advance=advance, cache=cache)
    unreadable = {
        record.id: one.reason
        for record, one in zip(records, inspections, strict=True)
        if one.reason is not None
    }
    readable = [record for record in records if record.id not in unreadable]
    good = [one for one in inspections if one.reason is None]
    exact, near = _duplicates([record.id for record in readable], good, cache=cache)
    classes = sorted({record.label for record in records if record.label is not None})
    pictures = Counter(record.label for record in readable)
    broken = Counter(record.label for record in records if record.id in unreadable)
    grouped = _grouped(readable)
    report = AuditReport(
        n=len(records),
        unreadable=unreadable,
        class_counts={name: pictures[name] for name in classes},
        class_unreadable={name: broken[name] for name in classes},
        width_px=Spread.of([one.width_px for one in good]),
        height_px=Spread.of([one.height_px for one in good]),
        formats=dict(Counter(one.format for one in good).most_common()),
        exact_duplicates=exact,
        near_duplicates=near,
        conflicting_duplicates=(),
        n_groups=len(grouped),
        largest_group=max(map(len, grouped.values()), default=0),
        mixed_groups=sum(len(set(labels)) > 1 for labels in grouped.values()),
        warnings=(),
    )
    report = replace(report, conflicting_duplicates=_conflicting(report.duplicate_groups, readable))
    roots = dict.fromkeys(record.root for record in records)
    problems = [problem for root in roots for problem in problems_of(open_store(root))]
    return replace(report, warnings=(*problems, *_warnings(report, good)))


def _duplicates(ids: Sequence[str], good: Sequence[Inspection], *, cache: bool) -> tuple[Groups, Groups]:
    """Return exact and near duplicates; pictures with equal pixels are compared with the others once."""
    same: dict[bytes, list[str]] = {}
    thumbnails = []
    for id, one in zip(ids, good, strict=True):
        if one.digest not in same:
            thumbnails.append(one.thumbnail)
        same.setdefault(one.digest, []).append(id)
    copies = list(same.values())
    near = _near_groups(np.stack(thumbnails), cache=cache) if thumbnails else []
    return (
        tuple(tuple(members) for members in copies if len(members) > 1),
        tuple(tuple(id for place in group for id in copies[place]) for group in near),
    )


def _near_groups(thumbnails: Thumbnails, *, cache: bool) -> list[list[int]]:
    """Search for near duplicates, or take what an earlier audit of exactly these pictures found."""
    if not cache:
        return near_groups(thumbnails)
    key = hashlib.sha256(f"{AUDIT_VERSION} {thumbnails.shape}".encode())
    key.update(thumbnails.data)
    path = cache_folder() / "audit" / f"near-{key.hexdigest()[:32]}.json"
    try:
        return [[int(place) for place in group] for group in json.loads(path.read_bytes())]
    except (OSError, ValueError, TypeError):
        groups = near_groups(thumbnails)
    with contextlib.suppress(OutputError, OSError):
        write_json(path, groups)
    return groups


def _grouped(records: Sequence[ImageRecord]) -> dict[str, list[str | None]]:
    """Return group -> labels of its pictures."""
    grouped: dict[str, list[str | None]] = {}
    for record in records:
        if record.group is not None:
            grouped.setdefault(record.group, []).append(record.label)
    return grouped


def _conflicting(groups: Groups, records: Sequence[ImageRecord]) -> Groups:
    labels = {record.id: record.label for record in records if record.label is not None}
    return tuple(group for group in groups if len({labels[id] for id in group if id in labels}) > 1)


def _warnings(report: AuditReport, good: Sequence[Inspection]) -> Iterator[str]:
    if report.n and len(report.unreadable) > _MANY_UNREADABLE * report.n:
        yield f"{len(report.unreadable)} of {report.n} pictures cannot be read"
    yield from (f"no picture of class {name} can be read" for name, n in report.class_counts.items() if not n)
    counts = [count for count in report.class_counts.values() if count]
    if counts and max(counts) > _IMBALANCE * min(counts):
        yield f"the classes are uneven: from {min(counts)} to {max(counts)} pictures"
    tiny = sum(min(one.width_px, one.height_px) < _TINY_PX for one in good)
    if tiny:
        yield f"{_count(tiny, 'picture')} with a side under {_TINY_PX} px"
    flat = int(is_flat(np.stack([one.thumbnail for one in good])).sum()) if good else 0
    if flat:
        yield f"{_count(flat, 'picture')} of a single colour"
    largest = max(map(len, report.duplicate_groups), default=0)
    if largest > LARGE_GROUP:
        yield f"{largest} pictures are duplicates of one another and stay in one split: frames of one film?"
    if report.conflicting_duplicates:
        groups, example = (
            _count(len(report.conflicting_duplicates), "group"),
            report.conflicting_duplicates[0],
        )
        yield f"{groups} of duplicates with several labels: {', '.join(example[:2])} ..."
    if report.mixed_groups:
        groups = _count(report.mixed_groups, "group")
        yield f"{groups} with pictures in several classes: each stays in one split"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _sizes(groups: Groups) -> str:
    if not groups:
        return "none"
    pictures = sum(map(len, groups))
    return f"{pictures} pictures in {_count(len(groups), 'group')}, the largest of {max(map(len, groups))}"
