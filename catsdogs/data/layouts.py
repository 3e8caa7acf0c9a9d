"""Roots -> records: how people arrange pictures, recognised from names alone; no picture is opened.

    kaggle            train/cat.12.jpg                       the class begins the name
    folder_per_class  PetImages/Cat/12.jpg                   the class is a folder
                      train/cat/12.jpg, val/cat/13.jpg       and folders above it may be splits
    manifest          photos.csv: path,label[,group][,split]

All but the last may lie in a folder, in a zip, or in the zips of a zip.
"""

from __future__ import annotations

import hashlib
import re
import stat
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from catsdogs.core.errors import DataError
from catsdogs.core.predictions import UNLABELLED
from catsdogs.core.records import ImageRecord
from catsdogs.data.labelling import Kind, class_key, read_labels
from catsdogs.data.manifest import mode_of, read_manifest
from catsdogs.data.stores import open_store, problems_of

# What a labelled layout takes for a picture; prediction tries every file.
_SUFFIXES = (
    "jpg jpeg jpe jfif png gif bmp dib webp tif tiff avif heic heif jp2 j2k jpx "
    "ppm pgm pbm pnm qoi dds pcx tga"
)
PICTURE_SUFFIXES = frozenset(f".{suffix}" for suffix in _SUFFIXES.split())
_LEAST_PICTURES = 2


@dataclass(frozen=True)
class DataLayout:
    """Labelled pictures, and how they were recognised.

    Attributes:
        kind: ``kaggle``, ``folder_per_class`` or ``manifest``.
        records: Sorted by name; those of a manifest in the order of its rows.
        class_names: Sorted without regard to case.
        ignored: Name -> why that file or folder is not among the records.
        problems: What could not be looked into, in a few words each: folders, the rest of a damaged tar.
    """

    kind: Kind
    records: tuple[ImageRecord, ...]
    class_names: tuple[str, ...]
    ignored: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def find_labelled(
    root: str,
    *,
    group_by: str | None = None,
    limit_per_class: int | None = None,
    seed: int = 0,
    known_classes: Collection[str] = (),
) -> DataLayout:
    """Return the labelled pictures of a folder, a zip or a CSV manifest.

    Classes that differ in case only are one: the first spelling in sorted order names it (``Cat``, not
    ``cat``). A record has a split only where the layout fixes at least two of them.

    Args:
        root: A folder, a zip, a ``.csv`` manifest, or drawn pictures.
        group_by: Regular expression that is searched in file names, folders left out. Pictures for which it
            finds the same text (its first group, where it has one) form a group.
        limit_per_class: Keep this many pictures of each class, drawn at random. A smaller limit with the same
            seed keeps a part of them.
        seed: Which ones to keep.
        known_classes: Classes of a model that is judged on these pictures: no other may occur, and one class
            or one picture is enough. Without them this is for training.

    Raises:
        DataError: What was found cannot be used; the message says what was expected.
    """
    if limit_per_class is not None and limit_per_class < 1:
        raise DataError(f"limit_per_class is {limit_per_class}; it must be at least 1")
    layout = _manifest(root) if _is_manifest(root) else _arranged(root, known_classes)
    records = _one_spelling(layout.records)
    if known_classes:
        labels_of(records, known_classes)
    else:
        _check_classes(root, records)
    if group_by is not None:
        records = _grouped(root, records, group_by)
    if limit_per_class is not None:
        records = _limited(records, limit_per_class, seed)
    return replace(layout, records=tuple(records), class_names=names_of_classes(records))


def names_of_classes(records: Iterable[ImageRecord]) -> tuple[str, ...]:
    """Return the classes of labelled records, sorted without regard to case."""
    return tuple(sorted({record.label or "" for record in records}, key=lambda name: (name.casefold(), name)))


def labels_of(records: Iterable[ImageRecord], class_names: Collection[str]) -> list[int]:
    """Return the position of each record's class in ``class_names``, ``UNLABELLED`` where it has none.

    Raises:
        DataError: A record's class is not among them, without regard to case.
    """
    positions = {class_key(name): position for position, name in enumerate(class_names)}
    labels = []
    for record in records:
        position = UNLABELLED if record.label is None else positions.get(class_key(record.label))
        if position is None:
            known = ", ".join(class_names)
            raise DataError(f"{record.id!r} is of class {record.label!r}; the known classes are: {known}")
        labels.append(position)
    return labels


def _is_manifest(root: str) -> bool:
    return root.lower().endswith(".csv") and not stat.S_ISDIR(mode_of(root))


def _manifest(root: str) -> DataLayout:
    records = read_manifest(root)
    if not records:
        raise DataError(f"{root} lists no pictures")
    return DataLayout("manifest", tuple(records), ())


def _arranged(root: str, known_classes: Collection[str]) -> DataLayout:
    """Read a layout that speaks through names."""
    store = open_store(root)
    names = [entry.name for entry in store.entries()]
    ignored = dict.fromkeys(getattr(store, "unreadable_folders", ()), "folder that cannot be listed")
    ignored |= {name: why for name in names if (why := _not_a_picture(name))}
    pictures = [name for name in names if name not in ignored]
    if not pictures:
        raise _no_pictures(root, names)
    labelling = read_labels(pictures, known_classes)
    if not labelling.found:
        raise DataError(
            f"{root} holds {len(pictures)} pictures but no labels, for example {pictures[0]!r}; expected two "
            "classes or more: in names like cat.12.jpg, as a folder each, or in a CSV manifest (path,label)"
        )
    records = (
        ImageRecord(name, root, name, label=labelling.found[name].label, split=labelling.found[name].split)
        for name in pictures
        if name in labelling.found
    )
    passed_over = ignored | labelling.unlabelled
    return DataLayout(labelling.kind, tuple(records), (), passed_over, problems_of(store))


def _no_pictures(root: str, names: Sequence[str]) -> DataError:
    if not names:
        return DataError(f"{root} is empty")
    zips = [name for name in names if name.lower().endswith(".zip")]
    hint = f"; give one of its zips, such as {Path(root, zips[-1])}" if zips else ""
    return DataError(
        f"{root} holds no pictures: none of its {len(names)} files ends in .jpg or the like{hint}"
    )


def _not_a_picture(name: str) -> str | None:
    """Return why a labelled layout passes a file over."""
    parts = name.split("/")
    if "__MACOSX" in parts or any(part.startswith(".") for part in parts):
        return "hidden file"
    return None if Path(name).suffix.lower() in PICTURE_SUFFIXES else "not a picture name"


def _one_spelling(records: Iterable[ImageRecord]) -> list[ImageRecord]:
    """Give every class one spelling of its name."""
    records = list(records)
    spellings: dict[str, str] = {}
    for label in sorted({record.label or "" for record in records}):
        spellings.setdefault(class_key(label), label)
    return [replace(record, label=spellings[class_key(record.label or "")]) for record in records]


def _check_classes(root: str, records: Sequence[ImageRecord]) -> None:
    """Refuse what no classifier can be trained on."""
    counts = Counter(record.label for record in records)
    if len(counts) < 2:
        label = next(iter(counts))
        raise DataError(f"{root} holds one class only, {label!r}; at least two are needed")
    label, least = min(counts.items(), key=lambda item: item[1])
    if least < _LEAST_PICTURES:
        raise DataError(
            f"{root}: class {label!r} has a single picture; at least {_LEAST_PICTURES} are needed"
        )
    if all(record.split for record in records):
        trained = {record.label for record in records if record.split == "train"}
        for record in records:
            if record.label not in trained:
                raise DataError(
                    f"{root}: class {record.label!r} has pictures in {record.split}, but none in train"
                )


def _grouped(root: str, records: Sequence[ImageRecord], group_by: str) -> list[ImageRecord]:
    """Set the groups that a regular expression finds in the names of files."""
    try:
        pattern = re.compile(group_by)
    except re.error as error:
        raise DataError(f"group_by {group_by!r} is not a regular expression: {error}") from error
    if any(record.group is not None for record in records):
        raise DataError(f"{root} has a group column: leave out group_by, or the column")
    grouped = [replace(record, group=_group(pattern, record.name)) for record in records]
    if all(record.group is None for record in grouped):
        example = records[0].name.rpartition("/")[2]
        raise DataError(f"group_by {group_by!r} finds nothing in any name of {root}, such as {example!r}")
    return grouped


def _group(pattern: re.Pattern[str], name: str) -> str | None:
    """Return what the pattern finds; a picture in which it finds no text is a group of its own."""
    match = pattern.search(name.rpartition("/")[2])
    return (match[min(1, pattern.groups)] or None) if match else None


def _limited(records: Sequence[ImageRecord], limit: int, seed: int) -> list[ImageRecord]:
    """Keep a few pictures of each class. Every picture draws its own lot, whatever else there is."""
    classes: dict[str | None, list[ImageRecord]] = defaultdict(list)
    for record in records:
        classes[record.label].append(record)
    kept = {record.id for members in classes.values() for record in sorted(members, key=_lot(seed))[:limit]}
    return [record for record in records if record.id in kept]


def _lot(seed: int) -> Callable[[ImageRecord], bytes]:
    return lambda record: hashlib.sha256(f"{seed} {record.id}".encode("utf-8", "surrogatepass")).digest()
