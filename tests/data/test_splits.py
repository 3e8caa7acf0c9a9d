import random
from collections import Counter, defaultdict

import pytest

from catsdogs.core.errors import DataError
from catsdogs.core.records import ImageRecord
from catsdogs.data.splits import read_split, split_records, straddling, write_split


def record(id, label, group=None, split=None):
    return ImageRecord(id=id, root="root", name=f"{label}/{id}", label=label, group=group, split=split)


def pictures(counts):
    return [record(f"{label}.{number}", label) for label, n in counts.items() for number in range(n)]


def counts(records):
    found = defaultdict(Counter)
    for one in records:
        found[one.label][one.split] += 1
    return found


def random_set(rng):
    """Some classes, some of their pictures in groups (a few across classes), some tied as duplicates."""
    records, tie = [], {}
    largest = rng.choice([2, 5, 15])
    for label in ("a", "b", "c")[: rng.randint(2, 3)]:
        n = rng.choice([5, 8, 30, 90])
        for number in range(n):
            draw = rng.random()
            group = f"shared{rng.randint(0, 30)}" if draw < 0.1 else None
            group = f"{label}{rng.randint(0, n // largest + 3)}" if draw > 0.5 else group
            records.append(record(f"{label}.{number}", label, group))
            if rng.random() < 0.1:
                tie[f"{label}.{number}"] = f"key{rng.randint(0, 20)}"
    n_units = Counter(label for unit in units(records, tie) for label in {id[0] for id in unit})
    return (records, tie) if min(n_units.values()) >= 3 else random_set(rng)


def units(records, tie):
    """Connected components by repeated merging: slow, and written without the code under test."""
    sets = [{one.id} for one in records]
    for key in ("group", "tie"):
        by_key = defaultdict(set)
        for one in records:
            value = one.group if key == "group" else tie.get(one.id)
            if value is not None:
                by_key[value].add(one.id)
        for members in by_key.values():
            touching = [one for one in sets if one & members]
            sets = [one for one in sets if not one & members] + [set().union(*touching)]
    return sets


@pytest.mark.parametrize(("val", "test"), [(0.15, 0.15), (0.2, 0.0), (0.0, 0.3), (0.4, 0.5), (0.01, 0.01)])
def test_every_class_gets_its_fraction_to_within_one_picture(val, test):
    for seed in range(5):
        sizes = {"cat": 1001, "dog": 37, "owl": 100, "yak": 11}
        found = counts(split_records(pictures(sizes), val_fraction=val, test_fraction=test, seed=seed))
        for label, n in sizes.items():
            assert abs(found[label]["val"] - val * n) <= 1
            assert abs(found[label]["test"] - test * n) <= 1
            assert found[label].total() == n


def test_groups_and_duplicates_stay_together_and_classes_stay_close_to_their_fraction():
    rng = random.Random(0)
    for case in range(60):
        records, tie = random_set(rng)
        together = units(records, tie)
        divided = split_records(records, val_fraction=0.15, test_fraction=0.15, seed=case, tie=tie)
        split_of = {one.id: one.split for one in divided}
        assert all(len({split_of[id] for id in unit}) == 1 for unit in together)
        assert straddling(divided, tie) == []
        labels = {one.id: one.label for one in records}
        for label, found in counts(divided).items():
            largest = max(Counter(labels[id] for id in unit)[label] for unit in together)
            for split in ("val", "test"):
                assert abs(found[split] - 0.15 * found.total()) <= max(1, largest)


def test_single_pictures_make_up_for_what_groups_leave():
    rng = random.Random(3)
    for seed in range(20):
        records = pictures({"cat": 60, "dog": 60})
        for label in ("cat", "dog"):
            records += [record(f"{label}{n}", label, f"g{rng.randint(0, 30)}") for n in range(90)]
        found = counts(split_records(records, val_fraction=0.2, test_fraction=0.1, seed=seed))
        assert all(dict(splits) == {"train": 105, "val": 30, "test": 15} for splits in found.values())


def test_every_class_with_three_units_is_in_every_split():
    rng = random.Random(1)
    for case in range(60):
        records, tie = random_set(rng)
        found = counts(split_records(records, val_fraction=0.15, test_fraction=0.15, seed=case, tie=tie))
        assert all(set(splits) == {"train", "val", "test"} for splits in found.values())


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (2, {"train": 1, "val": 1}),
        (3, {"train": 1, "val": 1, "test": 1}),
        (4, {"train": 2, "val": 1, "test": 1}),
    ],
)
def test_a_tiny_class_goes_to_train_then_val_then_test(n, expected):
    for seed in range(5):
        records = pictures({"cat": n, "dog": 50})
        found = counts(split_records(records, val_fraction=0.15, test_fraction=0.15, seed=seed))
        assert dict(found["cat"]) == expected


def test_a_few_large_groups_leave_val_a_part():
    records = [record(f"{label}{n}", label, f"{label}{n // 6}") for label in "ab" for n in range(12)]
    found = counts(split_records(records, val_fraction=0.15, test_fraction=0.0, seed=0))
    assert all(dict(found[label]) == {"train": 6, "val": 6} for label in "ab")


def test_groups_of_every_size_come_to_every_split():
    records = [
        record(f"{label}{size}.{number}.{n}", label, f"{label}{size}.{number}")
        for label in "ab"
        for size in (1, 4, 8)
        for number in range(40)
        for n in range(size)
    ]
    divided = split_records(records, val_fraction=0.2, test_fraction=0.2, seed=0)
    for split in ("val", "test"):
        groups = Counter(Counter(one.group for one in divided if one.split == split).values())
        assert all(11 <= groups[size] <= 21 for size in (1, 4, 8))  # of 80; a fifth is 16


def test_the_split_depends_on_the_seed_and_not_on_the_order():
    rng = random.Random(2)
    records, tie = random_set(rng)
    first = split_records(records, val_fraction=0.15, test_fraction=0.15, seed=0, tie=tie)
    for _ in range(5):
        rng.shuffle(records)
        assert split_records(records, val_fraction=0.15, test_fraction=0.15, seed=0, tie=tie) == first
    assert [one.id for one in first] == sorted(one.id for one in records)
    assert split_records(records, val_fraction=0.15, test_fraction=0.15, seed=1, tie=tie) != first


def test_the_split_is_the_same_on_every_platform():
    found = split_records(pictures({"cat": 5, "dog": 5}), val_fraction=0.2, test_fraction=0.2, seed=7)
    assert " ".join(str(one.split) for one in found) == (
        "train val train test train train test val train train"
    )


def test_with_no_fraction_everything_is_train():
    found = split_records(pictures({"cat": 1, "dog": 3}), val_fraction=0, test_fraction=0, seed=0)
    assert {one.split for one in found} == {"train"}
    assert split_records([], val_fraction=0.1, test_fraction=0.1, seed=0) == ()


class TestFixedByTheLayout:
    def layout(self, **sizes):
        return [
            record(f"{label}.{split}.{n}", label, split=split)
            for label in ("cat", "dog")
            for split, size in sizes.items()
            for n in range(size)
        ]

    def divide(self, records, tie=None):
        return split_records(records, val_fraction=0.2, test_fraction=0.1, seed=0, tie=tie)

    def test_three_splits_are_kept(self):
        records = sorted(self.layout(train=5, val=3, test=4), key=lambda one: one.id)
        assert list(self.divide(records)) == records

    @pytest.mark.parametrize(
        ("sizes", "expected"),
        [
            ({"train": 50, "test": 7}, {"train": 40, "val": 10, "test": 7}),
            ({"train": 50, "val": 7}, {"train": 45, "val": 7, "test": 5}),
            ({"train": 50}, {"train": 35, "val": 10, "test": 5}),
        ],
    )
    def test_what_is_missing_comes_from_train(self, sizes, expected):
        records = self.layout(**sizes)
        divided = self.divide(records)
        assert all(dict(found) == expected for found in counts(divided).values())
        fixed = {one.id: one.split for one in records if one.split != "train"}
        assert fixed.items() <= {one.id: one.split for one in divided}.items()

    def test_a_picture_without_a_split_joins_its_duplicate_in_test(self):
        records = [*self.layout(train=10, test=2), record("free", "cat")]
        divided = self.divide(records, tie={"free": "k", "cat.test.0": "k"})
        assert next(one.split for one in divided if one.id == "free") == "test"

    def test_fixed_duplicates_stay_and_are_told(self):
        tie = {"cat.train.0": "k", "cat.test.0": "k"}
        divided = self.divide(self.layout(train=10, test=2), tie)
        split_of = {one.id: one.split for one in divided}
        assert (split_of["cat.train.0"], split_of["cat.test.0"]) == ("train", "test")
        assert straddling(divided, tie) == [["cat.test.0", "cat.train.0"]]

    def test_a_class_that_is_only_in_test_is_refused(self):
        records = [*self.layout(train=10, test=2), record("owl.0", "owl", split="test")]
        with pytest.raises(DataError, match="class owl has no picture to train on"):
            self.divide(records)

    def test_an_unknown_split_is_refused(self):
        with pytest.raises(DataError, match="split valid: it must be train, val or test"):
            self.divide([record("a", "cat", split="valid")])


@pytest.mark.parametrize(
    ("val", "test", "message"),
    [
        (-0.1, 0.1, "val_fraction"),
        (0.1, 1.0, "test_fraction"),
        (float("nan"), 0.1, "val_fraction"),
        (0.5, 0.5, "nothing to train on"),
    ],
)
def test_fractions_out_of_range_are_refused(val, test, message):
    with pytest.raises(DataError, match=message):
        split_records(pictures({"cat": 9, "dog": 9}), val_fraction=val, test_fraction=test, seed=0)


def test_a_class_that_cannot_be_divided_is_refused():
    grouped = [record(f"cat.{n}", "cat", "one patient") for n in range(9)] + pictures({"dog": 9})
    with pytest.raises(DataError, match=r"class cat has 9 pictures in one group: .* train and in test"):
        split_records(grouped, val_fraction=0, test_fraction=0.2, seed=0)
    with pytest.raises(DataError, match="class cat has only one picture"):
        split_records(pictures({"cat": 1, "dog": 9}), val_fraction=0.2, test_fraction=0, seed=0)
    with pytest.raises(DataError, match="no label"):
        split_records([record("a", None)], val_fraction=0.2, test_fraction=0, seed=0)
    with pytest.raises(DataError, match="two pictures are called a"):
        split_records([record("a", "cat"), record("a", "dog")], val_fraction=0.2, test_fraction=0, seed=0)


def test_classes_that_share_all_their_groups_are_divided_together():
    records = [record(f"{label}.{n}", label, f"patient{n}") for label in ("cat", "dog") for n in range(2)]
    found = counts(split_records(records, val_fraction=0.4, test_fraction=0, seed=0))
    assert all(set(found[label]) == {"train", "val"} for label in ("cat", "dog"))


def test_groups_that_bind_classes_too_tightly_are_refused():
    # Three groups, each of two of three classes: two of the groups share a split, and so does their class.
    shared = [("a", "g1"), ("b", "g1"), ("b", "g2"), ("c", "g2"), ("c", "g3"), ("a", "g3")]
    records = [record(f"{label}.{group}", label, group) for label, group in shared]
    with pytest.raises(DataError, match=r"class . cannot be in (train|val): its groups are tied to other"):
        split_records(records, val_fraction=0.3, test_fraction=0, seed=0)


ODD_NAMES = [
    "a,b",
    'say "cat"',
    "two\nlines",
    "back\rspace",
    "\r\n",
    " space ",
    "\udc80bad",
    "\ud800",
    "ü猫",
    "'=1+1",
]


def test_a_split_survives_its_file(tmp_path):
    odd = [ImageRecord(name, f"r{name}", name, name, name, "train") for name in ODD_NAMES]
    records = (*odd, ImageRecord("plain", "r", "n", "dog", None, None))
    write_split(tmp_path / "split.csv", records)
    assert read_split(tmp_path / "split.csv") == records


@pytest.mark.parametrize(
    "text",
    ["", "id,label\na,cat\n", "id,root,name,label,group,split\na,b\n", 'id,root,name,label,group,split\n"a'],
)
def test_a_file_that_is_no_split_is_one_message(tmp_path, text):
    (tmp_path / "split.csv").write_text(text)
    with pytest.raises(DataError, match=r"split\.csv is not a split"):
        read_split(tmp_path / "split.csv")


def test_a_missing_file_is_one_message(tmp_path):
    with pytest.raises(DataError, match=r"none\.csv is not a split"):
        read_split(tmp_path / "none.csv")
