"""Which pictures may decide about an ensemble, and which may judge it.

A picture that one member has learned from judges no ensemble with that member in it. A picture that one
member is tested on decides nothing. A picture is known by its id.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace

from catsdogs.core.records import ImageRecord
from catsdogs.data.layouts import find_labelled
from catsdogs.data.splits import read_split
from catsdogs.reporting.console import say
from catsdogs.workflows.ensembling.members import Member
from catsdogs.workflows.runfolder import RunFolder
from catsdogs.workflows.seen import leave_out_seen

_HARSHEST = ("train", "val", "test")
_MOST_NAMED = 3


def joint_split(members: Sequence[Member]) -> tuple[ImageRecord, ...]:
    """Return every picture that a member knows, ordered by id, with the split that binds all of them.

    What is in one member's train is in train; what is left, and in one's val, in val. Pictures that a
    cross-validation has kept aside for a test are there too.
    """
    found: dict[str, ImageRecord] = {}
    for record in _records(member.run for member in members if member.run is not None):
        known = found.get(record.id, record)
        harsher = min(str(record.split), str(known.split), key=_HARSHEST.index)
        found[record.id] = replace(known, split=harsher)
    for record in _records(_above(members)):
        found.setdefault(record.id, record)
    return tuple(found[name] for name in sorted(found))


def tested_on(members: Sequence[Member]) -> set[str]:
    """Return the ids of the pictures that some member is tested on."""
    runs = [member.run for member in members if member.run is not None]
    return {record.id for record in _records([*runs, *_above(members)]) if record.split == "test"}


def fitted_on(members: Sequence[Member]) -> list[str]:
    """Return the splits, beside ``train``, that some member has learned from."""
    return sorted({split for member in members for split in member.learned} - {"train"})


def judges_of(members: Sequence[Member], joint: Sequence[ImageRecord]) -> tuple[ImageRecord, ...]:
    """Return the pictures that every member's test has left aside; say where there can be none."""
    strangers = [member.name for member in members if member.run is None and not member.card.embedded]
    if strangers:
        say(f"{strangers[0]} comes without its run: nobody knows what it has learned from; give --input")
        return ()
    found = tuple(record for record in joint if record.split == "test")
    if not found:
        say("each picture has taught one of the members: give others with --input to judge the ensemble")
    return _unseen(members, found)


def judges_from(members: Sequence[Member], input_path: str) -> tuple[ImageRecord, ...]:
    """Return the labelled pictures of an input that no member is known to have learned from.

    Raises:
        DataError: The input has no labels, or a class that the members do not know.
    """
    layout = find_labelled(input_path, known_classes=members[0].card.class_names)
    for problem in layout.problems:
        say(f"warning: {problem}")
    # Of each run by itself: another folder may hold other pictures of the same names.
    runs = [member.run for member in members if member.run is not None]
    known = {_place(record) for record in _records(runs) if record.split != "test"}
    taught = [record.id for record in layout.records if _place(record) in known]
    if taught:
        named = ", ".join(taught[:_MOST_NAMED]) + (" ..." if len(taught) > _MOST_NAMED else "")
        say(f"left out: {len(taught):,} pictures that taught a member ({named})")
    left = tuple(record for record in layout.records if _place(record) not in known)
    return _unseen(members, left)


def _unseen(members: Sequence[Member], records: tuple[ImageRecord, ...]) -> tuple[ImageRecord, ...]:
    """Leave out what the embedded model has learned from, where a member builds on it."""
    builds = next((member.card for member in members if member.card.embedded), None)
    return records if builds is None else leave_out_seen(records, builds)


def _records(runs: Iterable[RunFolder]) -> list[ImageRecord]:
    paths = dict.fromkeys(run.split for run in runs)
    return [record for path in paths for record in read_split(path)]


def _above(members: Sequence[Member]) -> list[RunFolder]:
    """Return the folders of ``catsdogs tune`` that hold members."""
    parents = dict.fromkeys(member.run.path.parent for member in members if member.run is not None)
    return [RunFolder(path) for path in parents if (path / "tune.yaml").is_file()]


def _place(record: ImageRecord) -> tuple[str, str]:
    return os.path.realpath(record.root), record.name
