"""Names -> labels: the class of every picture, and its split, from its folders and its own name."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple

Kind = Literal["kaggle", "folder_per_class", "manifest"]
Folder = tuple[str, ...]

# What folders and manifests call the three splits.
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
# cat.12.jpg, and the copies that file managers make of it: cat.12 (2).jpg
_KAGGLE_NAME = re.compile(r"(?P<label>.+?)\.\d+(?: \(\d+\))?\.[^.]+", re.DOTALL)


class Found(NamedTuple):
    """What the name of a picture says about it; ``split`` is None where the layout fixes none."""

    label: str
    split: str | None


class Labelling(NamedTuple):
    """How pictures are labelled.

    Attributes:
        kind: The layout.
        found: Name -> label and split.
        unlabelled: Name -> why it has no label.
    """

    kind: Kind
    found: dict[str, Found]
    unlabelled: dict[str, str]


def class_key(label: str) -> str:
    """Return what two spellings of one class have in common: they may differ in case and in Unicode form."""
    return unicodedata.normalize("NFC", label).casefold()


def read_labels(names: Sequence[str], known_classes: Collection[str] = ()) -> Labelling:
    """Return the labels of pictures, none where their names hold none.

    Kaggle's names are believed where one folder holds those of two classes, and that folder is called after a
    split or lies above all others; elsewhere ``flickr.12.jpg`` is no label. Otherwise the class is the first
    folder below those that all pictures share. ``train``, ``val`` and ``test`` folders are splits where there
    are two of them or nothing else, so that ``train`` beside ``bus`` and ``car`` is a class.

    Args:
        names: Names of pictures, with forward slashes.
        known_classes: Classes to look for; then one of them is enough where otherwise it takes two.
    """
    folders: dict[Folder, list[str]] = defaultdict(list)
    for name in names:
        folders[tuple(name.split("/")[:-1])].append(name)
    known = {class_key(label) for label in known_classes}
    labels = _kaggle_classes(folders, known)
    labelling = _by_name(names, labels) if labels else _by_folder(folders, known)
    if len({found.split for found in labelling.found.values()} - {None}) > 1:
        return labelling
    # A lone train folder, beside unlabelled test pictures, says nothing about how to split it.
    found = {name: Found(label, None) for name, (label, _) in labelling.found.items()}
    return labelling._replace(found=found)


def _kaggle_classes(folders: Mapping[Folder, Sequence[str]], known: set[str]) -> set[str]:
    """Return the classes of Kaggle's layout, none where the pictures lie in another."""
    mixed: dict[Folder, set[str]] = {}
    for folder, names in folders.items():
        labels = {class_key(label) for label in map(_kaggle_label, names) if label}
        if len(labels) > 1 or labels & known:
            mixed[folder] = labels
    named_as_split = any(folder and _split_of(folder[-1]) for folder in mixed)
    above_all = any(all(other[: len(folder)] == folder for other in folders) for folder in mixed)
    return set().union(*mixed.values()) if named_as_split or above_all else set()


def _kaggle_label(name: str) -> str | None:
    match = _KAGGLE_NAME.fullmatch(name.rpartition("/")[2])
    return match["label"] if match else None


def _by_name(names: Sequence[str], labels: set[str]) -> Labelling:
    labelling = Labelling("kaggle", {}, {})
    for name in names:
        label = _kaggle_label(name)
        if label and class_key(label) in labels:
            labelling.found[name] = Found(label, _deepest_split(name))
        else:
            labelling.unlabelled[name] = "no class in its name"
    return labelling


def _by_folder(folders: Mapping[Folder, Sequence[str]], known: set[str]) -> Labelling:
    places = _below_shared({folder: folder for folder in folders}, known)
    split_of: dict[Folder, str] = {}
    # More than once for the zips of a zip: train.zip/train/cat/1.jpg
    while splits := _split_folders(places):
        split_of = {folder: splits[rest[0]] for folder, rest in places.items() if rest and rest[0] in splits}
        places = _below_shared({folder: places[folder][1:] for folder in split_of}, known)
    labelling = Labelling("folder_per_class", {}, {})
    for folder, names in folders.items():
        rest = places.get(folder)
        if rest:
            labelling.found.update(dict.fromkeys(names, Found(_title(rest[0]), split_of.get(folder))))
        else:
            labelling.unlabelled.update(dict.fromkeys(names, "not in a class folder"))
    return labelling


def _below_shared(places: Mapping[Folder, Folder], known: set[str]) -> dict[Folder, Folder]:
    """Take away the folders that all pictures share; leave out the few pictures that lie above these."""
    shared: Folder = ()
    while True:
        depth = len(shared)
        inside = {folder: rest for folder, rest in places.items() if rest[:depth] == shared}
        children = {rest[depth] for rest in inside.values() if len(rest) > depth}
        if len(children) != 1 or class_key(_title(next(iter(children)))) in known:
            return {folder: rest[depth:] for folder, rest in inside.items()}
        shared = (*shared, *children)


def _split_folders(places: Mapping[Folder, Folder]) -> dict[str, str]:
    """Return the topmost folders that are splits, none where they are classes."""
    tops = {rest[0] for rest in places.values() if rest}
    splits = {top: split for top in tops if (split := _split_of(top))}
    return splits if len(splits) == len(tops) or len(set(splits.values())) > 1 else {}


def _deepest_split(name: str) -> str | None:
    splits = map(_split_of, reversed(name.split("/")[:-1]))
    return next((split for split in splits if split), None)


def _split_of(folder: str) -> str | None:
    """Return the split that a folder is called after; Kaggle's ``test1`` counts."""
    return SPLIT_NAMES.get(_title(folder).lower().rstrip("0123456789"))


def _title(folder: str) -> str:
    """Return the name of a folder, or of the inner zip that acts as one."""
    return folder[:-4] if folder.lower().endswith(".zip") else folder
