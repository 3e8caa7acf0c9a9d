"""Folds: a partition, as even as scikit-learn's where nothing is tied, and units in one piece."""

from collections import Counter

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold

from catsdogs.core.errors import ConfigError, DataError
from catsdogs.core.records import ImageRecord
from catsdogs.data.folds import fold_numbers, hold_out


def records(counts, group_of=lambda n: None):
    labels = [label for label, count in counts.items() for _ in range(count)]
    return [
        ImageRecord(f"{n:03}.png", "root", f"{n:03}.png", label, group_of(n))
        for n, label in enumerate(labels)
    ]


def share(pictures, numbers):
    """Return (class, fold) -> pictures."""
    return Counter((record.label, number) for record, number in zip(pictures, numbers, strict=True))


@pytest.mark.parametrize("folds", [2, 5, 7])
def test_classes_are_as_even_as_scikit_learns(folds):
    pictures = records({"cat": 33, "dog": 21, "rabbit": 8})
    numbers = fold_numbers(pictures, folds=folds, seed=1)
    assert set(numbers) == set(range(folds))
    labels = np.array([record.label for record in pictures])
    reference = list(StratifiedKFold(folds, shuffle=True, random_state=1).split(labels, labels))
    for label in ("cat", "dog", "rabbit"):
        ours = [share(pictures, numbers)[label, fold] for fold in range(folds)]
        theirs = [int((labels[held] == label).sum()) for _, held in reference]
        assert max(ours) - min(ours) <= 1
        assert sorted(ours) == sorted(theirs)


def test_groups_and_duplicates_stay_together():
    pictures = records({"cat": 40, "dog": 40}, lambda n: f"patient {n // 4}" if n % 8 < 4 else None)
    tie = {f"{n:03}.png": "twins" for n in (4, 45, 46)}
    numbers = fold_numbers(pictures, folds=5, seed=0, tie=tie)
    where = dict(zip((record.id for record in pictures), numbers, strict=True))
    for group in {record.group for record in pictures} - {None}:
        assert len({where[record.id] for record in pictures if record.group == group}) == 1
    assert len({where[name] for name in tie}) == 1
    assert all(5 <= count <= 11 for count in share(pictures, numbers).values())


def test_order_is_no_matter_and_the_seed_is():
    pictures = records({"cat": 20, "dog": 20})
    numbers = fold_numbers(pictures, folds=4, seed=0)
    assert fold_numbers(pictures[::-1], folds=4, seed=0) == numbers[::-1]
    assert fold_numbers(pictures, folds=4, seed=1) != numbers


def test_too_few_units_are_refused():
    with pytest.raises(ConfigError, match="--folds must be 2 or more, not 1"):
        fold_numbers(records({"cat": 3, "dog": 3}), folds=1, seed=0)
    with pytest.raises(DataError, match="class 'dog' has 3 pictures, too few for 4 folds; take --folds 3"):
        fold_numbers(records({"cat": 9, "dog": 3}), folds=4, seed=0)
    grouped = records({"cat": 8, "dog": 8}, lambda n: f"burst {n // 4}")
    with pytest.raises(DataError, match="has 2 pictures or groups of them, too few for 3"):
        fold_numbers(grouped, folds=3, seed=0)


def test_what_is_held_out_is_the_test_and_the_rest_is_divided_anew():
    pictures = hold_out(
        [*records({"cat": 20, "dog": 20})], {"003.png", "030.png"}, val_fraction=0.2, seed=0, tie={}
    )
    assert [record.id for record in pictures if record.split == "test"] == ["003.png", "030.png"]
    assert Counter(record.split for record in pictures) == {"train": 30, "val": 8, "test": 2}
    assert hold_out(pictures, {"003.png"}, val_fraction=0, seed=0)[30].split == "train"
