from collections import Counter, defaultdict
from pathlib import Path

import pytest
from filling import fill, pack

from catsdogs.core.errors import DataError
from catsdogs.core.predictions import UNLABELLED
from catsdogs.core.records import ImageRecord
from catsdogs.data.layouts import DataLayout, find_labelled, labels_of
from catsdogs.data.stores import open_store

KAGGLE = [f"train/{kind}.{n}.jpg" for kind in ("cat", "dog") for n in range(6)]
FOLDERS = [f"PetImages/{kind}/{n}.jpg" for kind in ("Cat", "Dog") for n in range(6)]


def counts(layout: DataLayout) -> dict[str | None, int]:
    return dict(Counter(record.label for record in layout.records))


def refusal(root: str, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        find_labelled(root, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_kaggle_is_the_same_as_folder_parent_zip_and_zip_of_zips(tmp_path):
    root = fill(tmp_path / "k", [*KAGGLE, "test1/1.jpg", "test1/2.jpg"])
    pack(tmp_path / "train.zip", dict.fromkeys(KAGGLE, b""))
    inner = {name: (tmp_path / name).read_bytes() for name in ("train.zip",)}
    inner["test1.zip"] = Path(
        pack(tmp_path / "test1.zip", {"test1/1.jpg": b"", "test1/2.jpg": b""})
    ).read_bytes()
    outer = pack(tmp_path / "dogs-vs-cats.zip", {**inner, "sampleSubmission.csv": b"id,label"})
    for place in (root, f"{root}/train", str(tmp_path / "train.zip"), outer):
        layout = find_labelled(place)
        assert layout.kind == "kaggle"
        assert layout.class_names == ("cat", "dog")
        assert counts(layout) == {"cat": 6, "dog": 6}
        assert {(r.split, r.group, r.root) for r in layout.records} == {(None, None, place)}
        assert all(r.id == r.name for r in layout.records)
    assert set(find_labelled(root).ignored.values()) == {"no class in its name"}


def test_folder_per_class_leaves_out_what_is_no_picture(tmp_path):
    junk = {
        "PetImages/Cat/Thumbs.db": "not a picture name",
        "PetImages/desktop.ini": "not a picture name",
        "readme[1].txt": "not a picture name",
        "PetImages/Dog/noextension": "not a picture name",
        ".DS_Store": "hidden file",
        "PetImages/Cat/._1.jpg": "hidden file",
        ".ipynb_checkpoints/1.jpg": "hidden file",
        "__MACOSX/PetImages/Cat/1.jpg": "hidden file",
        "cover.png": "not in a class folder",
    }
    names = [*FOLDERS, "PetImages/Dog/puppy/7.JPEG"]
    folder = fill(tmp_path / "f", [*names, *junk])
    archive = pack(tmp_path / "f.zip", dict.fromkeys([*names, *junk], b""))
    for place in (folder, archive):
        layout = find_labelled(place)
        assert layout.kind == "folder_per_class"
        assert [r.name for r in layout.records] == sorted(names)
        assert counts(layout) == {"Cat": 6, "Dog": 7}
        assert layout.ignored == junk


def test_splits_of_folders_reach_the_records(tmp_path):
    names = [f"{split}/{kind}/{n}.jpg" for split in ("train", "valid", "test") for kind in "ab" for n in "12"]
    layout = find_labelled(fill(tmp_path, names))
    assert Counter(r.split for r in layout.records) == {"train": 4, "val": 4, "test": 4}


def test_three_classes_and_spellings_that_differ_in_case(tmp_path):
    layout = find_labelled(
        fill(tmp_path, [f"x/{k}/{n}.jpg" for k in ("cat", "Cat", "zebra", "Bird") for n in "12"])
    )
    if len(layout.records) == 8:  # not on a file system without case
        assert counts(layout) == {"Cat": 4, "zebra": 2, "Bird": 2}
    assert [name.lower() for name in layout.class_names] == ["bird", "cat", "zebra"]


def test_a_manifest_is_a_layout(tmp_path):
    fill(tmp_path, ["a/1.jpg", "b/1.jpg", "a/2.jpg", "b/2.jpg"])
    rows = "b/2.jpg,dog\na/1.jpg,cat\nb/1.jpg,Dog\na/2.jpg,cat\n"
    (tmp_path / "m.CSV").write_text("path,label\n" + rows)
    layout = find_labelled(str(tmp_path / "m.CSV"))
    assert layout.kind == "manifest"
    assert layout.class_names == ("cat", "Dog")
    assert [(r.id, r.label) for r in layout.records][:2] == [("b/2.jpg", "Dog"), ("a/1.jpg", "cat")]
    (tmp_path / "empty.csv").write_text("path,label\n")
    assert "lists no pictures" in refusal(str(tmp_path / "empty.csv"))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], " is empty"),
        (["notes.txt"], "holds no pictures: none of its 1 files ends in .jpg or the like"),
        (["train.zip", "a.csv"], "give one of its zips, such as"),
        (["1.jpg", "2.jpg"], "holds 2 pictures but no labels, for example '1.jpg'"),
        (["train/a/1.jpg", "test/a/1.jpg"], "expected two classes or more"),
        (["cat.1.jpg", "cat.2.jpg"], "expected two classes or more"),
        (["a/1.jpg", "A/2.jpg"], "one class only, 'A'; at least two are needed"),
        (["a/1.jpg", "a/2.jpg", "b/1.jpg"], "class 'b' has a single picture; at least 2 are needed"),
        (
            [f"{f}/{n}.jpg" for f in ("train/a", "train/b", "test/unknown") for n in "12"],
            "class 'unknown' has pictures in test, but none in train",
        ),
    ],
)
def test_every_mistake_is_one_line_that_names_the_root(tmp_path, names, expected):
    root = fill(tmp_path / "root", names)
    Path(root).mkdir(exist_ok=True)
    message = refusal(root)
    assert message.startswith(root)
    assert expected in message


def test_a_missing_root_and_a_single_picture_are_refused(tmp_path):
    assert "cannot be opened: no such file" in refusal(str(tmp_path / "none"))
    assert "cannot be read: no such file" in refusal(str(tmp_path / "none.csv"))
    assert "is not a folder or a readable zip" in refusal(fill(tmp_path, ["cat.1.jpg"]) + "/cat.1.jpg")


def test_groups_come_from_file_names(tmp_path):
    names = ["a/p1_x.jpg", "a/p1_y.jpg", "b/p1_z.jpg", "b/p22_z.jpg", "p9/b/q.jpg", "a/p.jpg"]
    root = fill(tmp_path, ["x/" + name for name in names])

    def groups(pattern: str) -> dict[str, str | None]:
        found = find_labelled(root, group_by=pattern, known_classes=("a", "b", "p9")).records
        return {r.name[2:]: r.group for r in found}

    expected = dict(zip(names, ["1", "1", "1", "22", None, None], strict=True))
    assert groups(r"^p(\d+)_") == expected
    assert groups(r"p\d+") == {name: group and f"p{group}" for name, group in expected.items()}
    assert groups(r"^p(\d*)") == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("(", "is not a regular expression"), ("patient", "finds nothing in any name"), ("x*", "finds nothing")],
)
def test_a_bad_group_by_is_refused(tmp_path, pattern, expected):
    assert expected in refusal(fill(tmp_path, FOLDERS), group_by=pattern)


def test_group_by_and_a_group_column_contradict_each_other(tmp_path):
    fill(tmp_path, ["1.jpg", "2.jpg", "3.jpg", "4.jpg"])
    rows = "".join(f"{n}.jpg,{'ab'[n % 2]},g\n" for n in range(1, 5))
    (tmp_path / "m.csv").write_text("path,label,group\n" + rows)
    assert "has a group column" in refusal(str(tmp_path / "m.csv"), group_by=r"\d")


def test_a_limit_draws_a_stable_subset_of_every_class(tmp_path):
    names = [f"x/{kind}/{n}.jpg" for kind, most in (("a", 30), ("b", 5)) for n in range(most)]
    root = fill(tmp_path, names)

    def kept(limit: int, seed: int = 0) -> list[str]:
        return [r.name for r in find_labelled(root, limit_per_class=limit, seed=seed).records]

    assert kept(10) == kept(10)
    assert Counter(name[2] for name in kept(10)) == {"a": 10, "b": 5}
    assert set(kept(4)) < set(kept(10))
    assert kept(10) == sorted(kept(10))
    assert kept(10) != kept(10, seed=1)
    assert kept(10)[:10] != sorted(names)[:10]
    before = kept(10)
    fill(tmp_path, ["x/c/1.jpg", "x/c/2.jpg"])
    assert [name for name in kept(10) if not name.startswith("x/c")] == before
    assert "must be at least 1" in refusal(root, limit_per_class=0)


def test_known_classes_make_one_picture_enough_and_no_other_class_possible(tmp_path):
    root = fill(tmp_path / "one", ["cat.1.jpg"])
    assert "no labels" in refusal(root)
    assert [r.label for r in find_labelled(root, known_classes=("Cat", "Dog")).records] == ["cat"]
    other = fill(tmp_path / "other", ["x/cat/1.jpg", "x/cow/1.jpg"])
    message = refusal(other, known_classes=("Cat", "Dog"))
    assert "'x/cow/1.jpg' is of class 'cow'; the known classes are: Cat, Dog" in message


def test_labels_match_without_regard_to_case():
    records = [ImageRecord(str(i), ".", str(i), label) for i, label in enumerate(("DOG", "cat", None))]
    assert labels_of(records, ("Cat", "Dog")) == [1, 0, UNLABELLED]
    with pytest.raises(DataError, match="class 'DOG'; the known classes are: a, b"):
        labels_of(records, ("a", "b"))


def test_drawn_pictures_are_a_folder_per_class():
    layout = find_labelled("drawn:dog,cat?per_class=3", limit_per_class=2)
    assert (layout.kind, layout.class_names, counts(layout)) == (
        "folder_per_class",
        ("cat", "dog"),
        {"cat": 2, "dog": 2},
    )


@pytest.mark.real
def test_the_patients_of_the_chest_xrays_are_groups(real):
    layout = find_labelled(str(real / "data" / "chest-xray.zip"), group_by=r"^(\d+)")
    assert layout.class_names == ("normal", "pneumonia")
    assert counts(layout) == {"normal": 500, "pneumonia": 500}
    classes = defaultdict(set)
    for record in layout.records:
        classes[record.group].add(record.label)
    assert sum(len(labels) == 2 for labels in classes.values()) == 21


@pytest.mark.real
def test_both_public_archives_are_recognised(real):
    kaggle = find_labelled(str(real / "data" / "dogs-vs-cats" / "train.zip"))
    assert (kaggle.kind, counts(kaggle)) == ("kaggle", {"cat": 1001, "dog": 1001})
    public = find_labelled(str(real / "data" / "kagglecatsanddogs.zip"))
    assert (public.kind, counts(public)) == ("folder_per_class", {"Cat": 6001, "Dog": 6001})
    assert public.ignored == dict.fromkeys(
        ["PetImages/Cat/Thumbs.db", "PetImages/Dog/Thumbs.db"], "not a picture name"
    )


@pytest.mark.real
def test_kaggles_outer_zip_is_recognised(real, tmp_path):
    parts = real / "data" / "dogs-vs-cats"
    files = {file.name: file.read_bytes() for file in sorted(parts.iterdir())}
    layout = find_labelled(pack(tmp_path / "dogs-vs-cats.zip", files))
    assert (layout.kind, counts(layout)) == ("kaggle", {"cat": 1001, "dog": 1001})
    record = layout.records[-1]
    assert open_store(record.root).read(record.name, 2**20).startswith(b"\xff\xd8")
    assert "no labels" in refusal(str(parts / "test1.zip"))
