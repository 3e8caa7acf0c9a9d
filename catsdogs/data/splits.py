"""Splits: stratified by class, seeded, with duplicates and groups kept together. The split is a file.

Pictures of one group, and pictures that are duplicates, form a unit that is never divided. Units are placed
one by one, large ones first, each where the classes that it holds are furthest from their share.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, fields, replace
from pathlib import Path

import numpy as np

from catsdogs.core.errors import DataError
from catsdogs.core.files import replacing
from catsdogs.core.records import ImageRecord
from catsdogs.data.duplicates import connected

SPLITS = ("train", "val", "test")

_Unit = Counter[str]  # class -> pictures of one unit

_COLUMNS = tuple(field.name for field in fields(ImageRecord))
_MOST_RESTARTS = 32
_PLACEMENTS = 20_000


def split_records(
    records: Iterable[ImageRecord],
    *,
    val_fraction: float,
    test_fraction: float,
    seed: int,
    tie: Mapping[str, str] | None = None,
) -> tuple[ImageRecord, ...]:
    """Return the records, ordered by id, each with its split.

    The same records, in any order, and the same seed give the same split. Without groups every class has its
    fraction in every split to within one picture. With groups a class may be off by as many pictures as its
    largest group has.

    Splits that the layout fixes are kept. What it lacks is taken from its ``train``, and from records without
    a split, as a fraction of those: ``val`` where there is only ``train`` and ``test``, ``test`` where there
    is only ``train`` and ``val``. A record without a split joins its duplicates in a fixed ``val`` or
    ``test``. Fixed splits that share duplicates stay as they are: see ``straddling``.

    Every class is in ``train``, then in ``val``, then in ``test``, as far as it has units for them.

    Args:
        records: Labelled, with unique ids.
        val_fraction: Of the pictures of each class, in [0, 1).
        test_fraction: Likewise; the two together stay below 1.
        seed: Of the order in which units are placed; 0 or more.
        tie: Id -> key; pictures with equal keys stay together, as those of one group do.

    Raises:
        DataError: Fractions are out of range, or a class has too few units to be divided.
    """
    fractions = {"val": val_fraction, "test": test_fraction}
    _check_fractions(fractions)
    ordered = sorted(records, key=lambda record: record.id)
    _check_records(ordered)
    fixed = {record.split for record in ordered}
    wanted = {name: share for name, share in fractions.items() if share > 0 and name not in fixed}
    splits, free = _settled(ordered, tie or {})
    units = [Counter(str(ordered[place].label) for place in unit) for unit in free]
    _check_classes(units, {str(record.label) for record in ordered}, wanted)
    for unit, split in zip(free, _divide(units, wanted, seed), strict=True):
        for place in unit:
            splits[place] = split
    return tuple(replace(record, split=split) for record, split in zip(ordered, splits, strict=True))


def straddling(records: Sequence[ImageRecord], tie: Mapping[str, str] | None = None) -> list[list[str]]:
    """Return the ids of each unit (group or duplicates) that lies in several splits.

    Only splits that a layout fixes can have any; figures on such a split flatter the model.
    """
    units = ([records[place] for place in unit] for unit in _units(records, tie or {}))
    return [[record.id for record in unit] for unit in units if len({record.split for record in unit}) > 1]


def unit_names(records: Sequence[ImageRecord], tie: Mapping[str, str] | None = None) -> list[str]:
    """Return one name a record; records of one unit (group or duplicates) have the same."""
    names = [""] * len(records)
    for unit in _units(records, tie or {}):
        for place in unit:
            names[place] = records[unit[0]].id
    return names


def write_split(path: str | Path, records: Iterable[ImageRecord]) -> None:
    """Write records as CSV, durably; None is an empty field, any name survives exactly.

    Raises:
        OutputError: The folder cannot be written.
    """
    with (
        replacing(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="surrogatepass", newline="") as stream,
    ):
        # The default line ends are what makes this writer quote a lone carriage return in a name.
        writer = csv.writer(stream)
        writer.writerow(_COLUMNS)
        writer.writerows(astuple(record) for record in records)


def read_split(path: str | Path) -> tuple[ImageRecord, ...]:
    """Read what ``write_split`` wrote.

    Raises:
        DataError: The file is missing or is not a split.
    """
    try:
        with Path(path).open(encoding="utf-8", errors="surrogatepass", newline="") as stream:
            header, *rows = csv.reader(stream, strict=True)
        if tuple(header) != _COLUMNS:
            raise ValueError(f"its columns are not {','.join(_COLUMNS)}")
        records = tuple(_record(*row) for row in rows)
        _check_records(records)
        return records
    except (OSError, ValueError, TypeError, csv.Error, DataError) as error:
        raise DataError(f"{path} is not a split: {error}") from error


def _record(id: str, root: str, name: str, label: str, group: str, split: str) -> ImageRecord:
    return ImageRecord(id, root, name, label or None, group or None, split or None)


def _check_fractions(fractions: Mapping[str, float]) -> None:
    for name, share in fractions.items():
        if not 0 <= share < 1:
            raise DataError(f"{name}_fraction must be 0 or more and below 1, not {share:g}")
    if sum(fractions.values()) >= 1:
        raise DataError("val_fraction and test_fraction together leave nothing to train on")


def _check_records(records: Sequence[ImageRecord]) -> None:
    repeated = [id for id, count in Counter(record.id for record in records).items() if count > 1]
    if repeated:
        raise DataError(f"two pictures are called {repeated[0]}")
    for record in records:
        if record.label is None:
            raise DataError(f"{record.id} has no label: only labelled pictures can be split")
        if record.split not in (None, *SPLITS):
            raise DataError(f"{record.id} is in split {record.split}: it must be train, val or test")


def _check_classes(units: Sequence[_Unit], classes: Iterable[str], wanted: Mapping[str, float]) -> None:
    """Refuse a class that cannot be in train and in the first split that is drawn from it."""
    n_units = Counter(name for unit in units for name in unit)
    pictures = _total(units)
    for name in sorted(classes):
        if not n_units[name]:
            raise DataError(f"class {name} has no picture to train on")
        if wanted and n_units[name] == 1:
            many = "only one picture" if pictures[name] == 1 else f"{pictures[name]} pictures in one group"
            raise DataError(f"class {name} has {many}: it cannot be in train and in {next(iter(wanted))}")


def _units(records: Sequence[ImageRecord], tie: Mapping[str, str]) -> list[list[int]]:
    """Return the places of pictures that belong together, single ones included, by their first member."""
    first_of: dict[tuple[str, str], int] = {}
    links = []
    for place, record in enumerate(records):
        for kind, key in (("group", record.group), ("tie", tie.get(record.id))):
            if key is not None:
                links.append((first_of.setdefault((kind, key), place), place))
    together = connected(len(records), links)
    linked = {place for unit in together for place in unit}
    return sorted(together + [[place] for place in range(len(records)) if place not in linked])


def _settled(
    records: Sequence[ImageRecord], tie: Mapping[str, str]
) -> tuple[list[str | None], list[list[int]]]:
    """Return the splits as far as the layout settles them, and the units that may still be placed."""
    splits = [record.split for record in records]
    free = []
    for unit in _units(records, tie):
        held_out = sorted({split for place in unit if (split := splits[place]) not in (None, "train")})
        if not held_out:
            free.append(unit)
        for place in unit if held_out else ():
            splits[place] = splits[place] or held_out[0]
    return splits, free


def _divide(units: Sequence[_Unit], wanted: Mapping[str, float], seed: int) -> list[str]:
    """Return the split of each unit: the best of several random orders, where order matters at all."""
    if not wanted or not units:
        return ["train"] * len(units)
    shares = _shares(units, wanted)
    restarts = min(_MOST_RESTARTS, max(1, _PLACEMENTS // len(units)))
    best: _Placing | None = None
    for restart in range(restarts):
        placing = _Placing(units, shares)
        placing.place_all(np.random.default_rng([seed, restart]).permutation(len(units)).tolist())
        if best is None or placing.faults() < best.faults():
            best = placing
        if not any(best.faults()):
            break
    assert best is not None
    best.check()
    return best.splits


def _shares(units: Sequence[_Unit], wanted: Mapping[str, float]) -> dict[str, Counter[str]]:
    """Return split -> class -> how many pictures it should get; they add up to the pictures of the class."""
    shares = {name: Counter[str]() for name in ("train", *wanted)}
    n_units = Counter(name for unit in units for name in unit)
    for label, n in _total(units).items():
        held_out = {
            name: max(1, round(share * n)) if n_units[label] > place else 0
            for place, (name, share) in enumerate(wanted.items(), start=1)
        }
        while sum(held_out.values()) >= n:
            held_out[max(held_out, key=lambda name: held_out[name])] -= 1
        for name, count in held_out.items():
            shares[name][label] = count
        shares["train"][label] = n - sum(held_out.values())
    return shares


def _total(units: Iterable[_Unit]) -> Counter[str]:
    """Return class -> pictures over all units."""
    total = Counter[str]()
    for unit in units:
        total.update(unit)
    return total


class _Placing:
    """One attempt to place units so that every split gets its share of every class."""

    def __init__(self, units: Sequence[_Unit], shares: Mapping[str, Counter[str]]) -> None:
        self._units = units
        self._shares = shares
        self._total = _total(shares.values())
        self._missing = {name: Counter(share) for name, share in shares.items()}
        self._placed: dict[int, str] = {}

    @property
    def splits(self) -> list[str]:
        return [self._placed[number] for number in range(len(self._units))]

    def place_all(self, order: Sequence[int]) -> None:
        """Place every unit; units of one size come in the given order."""
        by_size = sorted(order, key=lambda number: self._units[number].total())
        self._make_present(by_size)
        for number in reversed(by_size):
            if number not in self._placed:
                self._place(number, self._best_split(self._units[number]))

    def faults(self) -> tuple[int, int]:
        """Return how often a class is absent from a split, and the pictures that are in a wrong one."""
        wrong = sum(abs(count) for missing in self._missing.values() for count in missing.values())
        return len(self._absent()), wrong

    def check(self) -> None:
        """Raise DataError where a class is absent from train or from the first split that is drawn."""
        for label, split in self._absent():
            if split in list(self._shares)[:2]:
                raise DataError(f"class {label} cannot be in {split}: its groups are tied to other classes")

    def _absent(self) -> list[tuple[str, str]]:
        """Return (class, split) where a split should have a class and has none of it."""
        return [
            (label, split)
            for split, share in self._shares.items()
            for label, count in share.items()
            if count and self._missing[split][label] == count
        ]

    def _place(self, number: int, split: str) -> None:
        self._placed[number] = split
        self._missing[split].subtract(self._units[number])

    def _make_present(self, by_size: Sequence[int]) -> None:
        """Give each split a small unit of each class, the classes with the fewest units first."""
        members: dict[str, list[int]] = {}
        for number in by_size:
            for label in self._units[number]:
                members.setdefault(label, []).append(number)
        for label in sorted(members, key=lambda label: (len(members[label]), label)):
            for split in self._shares:
                if self._missing[split][label] == self._shares[split][label] > 0:
                    free = next((number for number in members[label] if number not in self._placed), None)
                    if free is not None:
                        self._place(free, split)

    def _best_split(self, unit: _Unit) -> str:
        """Return the split with room that is least full; without room, the one that lacks most."""
        roomy = [
            split
            for split, missing in self._missing.items()
            if all(missing[label] >= count for label, count in unit.items())
        ]
        if roomy:
            return max(roomy, key=lambda split: self._need(unit, split, self._shares[split]))
        return max(self._missing, key=lambda split: self._need(unit, split, self._total))

    def _need(self, unit: _Unit, split: str, scale: Counter[str]) -> float:
        missing = self._missing[split]
        return sum(
            count / self._total[label] * missing[label] / scale[label] for label, count in unit.items()
        )
