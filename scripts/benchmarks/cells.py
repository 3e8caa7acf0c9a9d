"""Cells of the transfer matrix: a domain, a number of training pictures, and who is drawn for what."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from benchmarks.lots import lot
from benchmarks.tasks import TASKS, make_task

from catsdogs.core.files import replacing
from catsdogs.core.records import ImageRecord
from catsdogs.data.layouts import find_labelled

FIXED = (
    "linear_probe",
    "svm_probe",
    "stage_probe",
    "norm_and_bias",
    "finetune_top",
    "surgical",
    "gradual",
    "finetune_full",
    "from_scratch",
)
"""The strategies that may win a cell, cheap ones first."""
AUTO = "auto"
# auto comes where its result tells most for the time that it takes.
STRATEGIES = (*FIXED[:3], AUTO, *FIXED[3:])
HALVES = ("a", "b")
PICTURES_A_HALF = 200

WEIGHTS = "weights/mobilenetv2_100.safetensors"
PHOTOS = "data/dogs-vs-cats/train.zip"


@dataclass(frozen=True)
class Domain:
    """Where the pictures of some cells come from.

    Attributes:
        name: Of the domain, and of the task where it is one of ``TASKS``.
        source: The file, below the folder of real pictures.
        group_by: What finds the patient in the name of a file.
        input_size: Of the network in pixels, where it is not the weights' own.
        strategies: Those that fit the time.
        relative: Name of the domain that has the same subjects, where there is one.
    """

    name: str
    source: str
    group_by: str | None = None
    input_size: int | None = None
    strategies: tuple[str, ...] = STRATEGIES
    relative: str | None = None

    @property
    def kin(self) -> str:
        """What it shares with domains that tell about it: thresholds for one are set without all of them."""
        return self.relative or self.name


@dataclass(frozen=True)
class Cell:
    """A domain with a number of training pictures."""

    domain: Domain
    pictures: int

    @property
    def name(self) -> str:
        """As ``--cells`` takes it: ``kaggle-20``."""
        return f"{self.domain.name}-{self.pictures}"


class Manifests(NamedTuple):
    """The training pictures, all that catsdogs sees, and the test pictures with their halves."""

    train: Path
    test: Path


_SIZES = {
    Domain("kaggle", PHOTOS): (20, 100, 500, 1600),
    Domain("xray", "data/chest-xray.zip", group_by=r"^(\d+)"): (40, 200, 800),
    **{Domain(name, PHOTOS): (100, 500) for name in TASKS},
    Domain(
        "public",
        "data/kagglecatsanddogs.zip",
        input_size=160,
        strategies=("linear_probe", "svm_probe", "stage_probe", AUTO),
        relative="kaggle",
    ): (8000,),
}
CELLS = {
    cell.name: cell for domain, sizes in _SIZES.items() for cell in (Cell(domain, size) for size in sizes)
}


def write_manifests(cell: Cell, seed: int, *, real: Path, work: Path) -> Manifests:
    """Draw the pictures of a cell and write them down.

    Test pictures are not in training, and neither are others of their patients.

    Args:
        cell: What is drawn for.
        seed: Of the draw.
        real: Folder of real pictures.
        work: Folder for what the benchmark makes.
    """
    records = labelled_pictures(cell.domain, real, work)
    training = draw_training(records, cell.pictures, (cell.name, seed, "train"))
    taken = {unit_of(record) for record in training}
    rest = [record for record in records if unit_of(record) not in taken]
    folder = work / "cells" / f"{cell.name}-{seed}"
    manifests = Manifests(folder / "train.csv", folder / "test.csv")
    _write(manifests.train, training, cell.domain.name)
    _write(manifests.test, draw_test(rest, cell, (cell.name, seed, "test")), cell.domain.name)
    return manifests


@cache
def labelled_pictures(domain: Domain, real: Path, work: Path) -> tuple[ImageRecord, ...]:
    """Return every picture of a domain; those of a made task are made first, once a work folder."""
    source = real / domain.source
    if domain.name in TASKS:
        source = make_task(domain.name, source, work / "tasks")
    return find_labelled(str(source.absolute()), group_by=domain.group_by).records


def unit_of(record: ImageRecord) -> str:
    """Return what is drawn as a whole: the patient, or the picture."""
    return record.group or record.id


def half_of(record: ImageRecord, domain: str) -> str:
    """Return ``a`` or ``b``, for good: a winner that is found on one half has never seen the other.

    It is the same in every cell and seed of a domain. Were it drawn anew for each seed, a picture could
    help to find the winner with one seed and be scored with another.
    """
    return HALVES[lot(domain, "half", unit_of(record)) % 2]


def draw_training(
    records: Sequence[ImageRecord], pictures: int, draw: tuple[object, ...]
) -> list[ImageRecord]:
    """Return that many pictures, as many of each class, patients whole, as the lot of each falls.

    A patient who would make a class too large is passed over, so a few pictures may lack in the end.
    """
    labels = sorted({record.label or "" for record in records})
    share, more = divmod(pictures, len(labels))
    room = {label: share + (place < more) for place, label in enumerate(labels)}
    chosen = []
    for unit in _units(records, draw):
        needed = Counter(record.label or "" for record in unit)
        if all(room[label] >= count for label, count in needed.items()):
            chosen += unit
            for label, count in needed.items():
                room[label] -= count
    return chosen


def draw_test(
    records: Sequence[ImageRecord], cell: Cell, draw: tuple[object, ...], most: int = PICTURES_A_HALF
) -> list[ImageRecord]:
    """Return up to ``most`` pictures of each half, patients whole, as the lot of each falls."""
    room = dict.fromkeys(HALVES, most)
    chosen = []
    for unit in _units(records, draw):
        half = half_of(unit[0], cell.domain.name)
        if room[half] >= len(unit):
            chosen += unit
            room[half] -= len(unit)
    return chosen


def _units(records: Sequence[ImageRecord], draw: tuple[object, ...]) -> list[list[ImageRecord]]:
    """Return pictures by patient, in the order of their lots."""
    units: dict[str, list[ImageRecord]] = defaultdict(list)
    for record in records:
        units[unit_of(record)].append(record)
    return [units[name] for name in sorted(units, key=lambda name: lot(*draw, name))]


def _write(path: Path, records: Iterable[ImageRecord], domain: str) -> None:
    """Write a manifest that catsdogs reads; it passes over the column ``half``."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("path", "label", "group", "half"))
        for record in sorted(records, key=lambda record: record.id):
            where = f"{record.root}/{record.name}"
            writer.writerow((where, record.label, record.group or "", half_of(record, domain)))
