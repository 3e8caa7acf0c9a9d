"""A part of the pictures has the classes' shares, the same every time."""

from collections import Counter

import pytest

from catsdogs.core.errors import ConfigError
from catsdogs.core.records import ImageRecord
from catsdogs.data.stratified import stratified


def records(**counts: int) -> list[ImageRecord]:
    names = [(label, f"{label}/{n}") for label, count in counts.items() for n in range(count)]
    return [ImageRecord(name, "root", name, label) for label, name in names]


@pytest.mark.parametrize(
    ("counts", "limit", "expected"),
    [
        ({"cat": 60, "dog": 40}, 10, {"cat": 6, "dog": 4}),
        ({"cat": 50, "dog": 50}, 7, {"cat": 4, "dog": 3}),
        ({"cat": 1, "dog": 1}, 5, {"cat": 1, "dog": 1}),
        ({"cat": 3, "dog": 9, "fox": 88}, 50, {"cat": 2, "dog": 4, "fox": 44}),
        ({"cat": 5, "dog": 6}, 1, {"dog": 1}),
    ],
)
def test_classes_keep_their_shares(counts, limit, expected) -> None:
    found = stratified(records(**counts), limit, seed=0)
    shares = Counter(record.label for record in found)
    assert sum(shares.values()) == sum(expected.values())
    assert all(abs(shares[label] - expected.get(label, 0)) <= (len(counts) > 2) for label in counts)


def test_the_draw_follows_from_the_seed_and_keeps_the_order() -> None:
    everything = records(cat=50, dog=50)
    found = stratified(everything, 20, seed=0)
    assert found == stratified(everything, 20, seed=0)
    assert found != stratified(everything, 20, seed=1)
    assert [everything.index(record) for record in found] == sorted(everything.index(r) for r in found)
    assert set(stratified(everything, 10, seed=0)) <= set(found)
    more = stratified(records(cat=51, dog=51), 20, seed=0)
    assert len(set(found) & set(more)) >= 18


def test_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="--limit must be 1 or more, not 0"):
        stratified(records(cat=2), 0, seed=0)
