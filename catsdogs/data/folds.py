"""Folds: each picture is held out exactly once, classes alike in every fold, units in one piece."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from catsdogs.core.errors import ConfigError, DataError
from catsdogs.core.records import ImageRecord
from catsdogs.data.splits import split_records, unit_names


def fold_numbers(
    records: Sequence[ImageRecord], *, folds: int, seed: int, tie: Mapping[str, str] | None = None
) -> tuple[int, ...]:
    """Return the fold, from 0, that holds each record out.

    Every class has about its share in every fold; groups and duplicates are never divided, as in
    ``split_records``. The same records, in any order, and the same seed give the same folds.

    Args:
        records: Labelled, with unique ids; the splits that they may carry have no part in this.
        folds: How many, 2 or more.
        seed: Of the order in which units are dealt out.
        tie: Id -> key; pictures with equal keys stay together, as those of one group do.

    Raises:
        ConfigError: Fewer than two folds were asked for.
        DataError: A class has fewer units than there are folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    if folds < 2:
        raise ConfigError(f"--folds must be 2 or more, not {folds}")
    order = sorted(range(len(records)), key=lambda place: records[place].id)
    ordered = [records[place] for place in order]
    units = unit_names(ordered, tie)
    _require_units(ordered, units, folds)
    labels = np.asarray([record.label for record in ordered], dtype=object).astype(str)
    codes = np.unique(np.asarray(units, dtype=object).astype(str), return_inverse=True)[1]
    numbers = np.empty(len(records), dtype=np.int64)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for number, (_, held) in enumerate(splitter.split(labels, labels, codes)):
        numbers[np.asarray(order)[held]] = number
    return tuple(numbers.tolist())


def hold_out(
    records: Sequence[ImageRecord],
    held: Collection[str],
    *,
    val_fraction: float,
    seed: int,
    tie: Mapping[str, str] | None = None,
) -> tuple[ImageRecord, ...]:
    """Return the records with some of them as the test, and a part of the others for validation.

    Args:
        records: Labelled, with unique ids; the splits that they may carry have no part in this.
        held: Ids of those that become the test.
        val_fraction: Share of the others that validates, in [0, 1).
        seed: Of that share.
        tie: Id -> key; as in ``split_records``.

    Raises:
        DataError: What is left of a class cannot be divided.
    """
    judged = [replace(record, split="test") for record in records if record.id in held]
    free = [replace(record, split=None) for record in records if record.id not in held]
    left = split_records(free, val_fraction=val_fraction, test_fraction=0, seed=seed, tie=tie)
    return tuple(sorted([*left, *judged], key=lambda record: record.id))


def _require_units(records: Sequence[ImageRecord], units: Sequence[str], folds: int) -> None:
    pairs = {(record.label, unit) for record, unit in zip(records, units, strict=True)}
    for label, count in sorted(Counter(str(label) for label, _ in pairs).items()):
        if count < folds:
            kind = "pictures" if len(set(units)) == len(units) else "pictures or groups of them"
            most = f"take --folds {count}" if count > 1 else "it cannot be held out"
            raise DataError(f"class {label!r} has {count} {kind}, too few for {folds} folds; {most}")
