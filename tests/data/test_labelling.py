import pytest

from catsdogs.data.labelling import class_key, read_labels


def labels(*names: str, known: tuple[str, ...] = ()) -> dict[str, str]:
    """Name -> "label" or "label/split"."""
    found = read_labels(names, known).found
    return {name: "/".join(filter(None, pair)) for name, pair in found.items()}


def test_kaggle_names_flat_and_with_unlabelled_pictures_beside_them():
    assert labels("cat.0.jpg", "dog.12.jpg") == {"cat.0.jpg": "cat", "dog.12.jpg": "dog"}
    beside = read_labels(["train/cat.0.jpg", "train/dog.0.jpg", "test1/1.jpg", "test1/2.jpg"])
    assert beside.kind == "kaggle"
    assert {name: label for name, (label, _) in beside.found.items()} == {
        "train/cat.0.jpg": "cat",
        "train/dog.0.jpg": "dog",
    }
    assert {split for _, split in beside.found.values()} == {None}
    assert beside.unlabelled == dict.fromkeys(["test1/1.jpg", "test1/2.jpg"], "no class in its name")


def test_kaggle_names_in_the_zips_of_a_zip_and_in_doubled_folders():
    assert labels("train.zip/train/cat.0.jpg", "train.zip/train/dog.0.jpg", "test1.zip/test1/1.jpg") == {
        "train.zip/train/cat.0.jpg": "cat",
        "train.zip/train/dog.0.jpg": "dog",
    }
    assert set(labels("k/train/train/a.1.png", "k/train/train/b.1.png", "k/test/1.png").values()) == {
        "a",
        "b",
    }


def test_kaggle_names_may_be_of_any_class_and_come_with_splits():
    assert labels("big cat.1.jpg", "über.hund.2.PNG", "cat.1 (2).jpg", "cat.x.jpg") == {
        "big cat.1.jpg": "big cat",
        "über.hund.2.PNG": "über.hund",
        "cat.1 (2).jpg": "cat",
    }
    assert labels("train/a.1.jpg", "train/b.1.jpg", "valid/a.2.jpg", "valid/b.2.jpg") == {
        "train/a.1.jpg": "a/train",
        "train/b.1.jpg": "b/train",
        "valid/a.2.jpg": "a/val",
        "valid/b.2.jpg": "b/val",
    }


def test_strays_below_kaggle_names_are_left_out():
    found = labels("cat.1.jpg", "dog.1.jpg", "figures/plot.1.jpg", "figures/x/1.jpg")
    assert set(found) == {"cat.1.jpg", "dog.1.jpg"}


def test_folders_win_where_kaggle_names_are_only_names():
    assert set(labels("cats/cat.1.jpg", "dogs/dog.1.jpg").values()) == {"cats", "dogs"}
    sources = ["cat/flickr.1.jpg", "cat/google.2.jpg", "dog/flickr.3.jpg", "dog/google.4.jpg"]
    assert set(labels(*sources).values()) == {"cat", "dog"}
    keras = labels("train/cats/cat.1.jpg", "train/dogs/dog.1.jpg", "validation/cats/cat.2.jpg")
    assert keras == {
        "train/cats/cat.1.jpg": "cats/train",
        "train/dogs/dog.1.jpg": "dogs/train",
        "validation/cats/cat.2.jpg": "cats/val",
    }


def test_the_class_is_the_first_folder_below_the_shared_ones():
    assert labels("a/Pet/Cat/1.jpg", "a/Pet/Cat/kitten/x/2.jpg", "a/Pet/Dog/1.jpg", "a/preview.jpg") == {
        "a/Pet/Cat/1.jpg": "Cat",
        "a/Pet/Cat/kitten/x/2.jpg": "Cat",
        "a/Pet/Dog/1.jpg": "Dog",
    }
    assert read_labels(["preview.jpg", "c/1.jpg", "d/1.jpg"]).unlabelled == {
        "preview.jpg": "not in a class folder"
    }
    assert set(labels("cat.zip/1.jpg", "dog.zip/x/1.jpg").values()) == {"cat", "dog"}


@pytest.mark.parametrize(
    ("folder", "split"),
    [
        *(
            ("train", "train"),
            ("Training", "train"),
            ("test", "test"),
            ("testing", "test"),
            ("TEST2", "test"),
        ),
        *(("VAL", "val"), ("valid", "val"), ("validation", "val")),
    ],
)
def test_split_folders_are_honoured_by_any_of_their_names(folder, split):
    other = "test" if split != "test" else "train"
    found = labels(f"x/{folder}/a/1.jpg", f"x/{folder}/b/1.jpg", f"x/{other}/a/2.jpg", "x/extra/c/1.jpg")
    assert found == {
        f"x/{folder}/a/1.jpg": f"a/{split}",
        f"x/{folder}/b/1.jpg": f"b/{split}",
        f"x/{other}/a/2.jpg": f"a/{other}",
    }


def test_splits_may_be_the_zips_of_a_zip():
    names = [f"{split}.zip/{split}/{kind}/1.jpg" for split in ("train", "test1") for kind in "ab"]
    assert list(labels(*names).values()) == ["a/train", "b/train", "a/test", "b/test"]
    assert list(labels(*names[:2], "test1.zip/test1/1.jpg").values()) == ["a", "b"]


def test_a_lone_split_says_nothing():
    assert set(labels("train/a/1.jpg", "train/b/1.jpg").values()) == {"a", "b"}
    assert labels("train/a/1.jpg", "train/b/1.jpg", "test1/1.jpg") == {
        "train/a/1.jpg": "a",
        "train/b/1.jpg": "b",
    }


def test_a_class_may_be_called_train():
    assert set(labels("bus/1.jpg", "car/1.jpg", "train/1.jpg", "train/steam/2.jpg").values()) == {
        "bus",
        "car",
        "train",
    }
    vehicles = labels("train/bus/1.jpg", "train/train/1.jpg", "val/bus/1.jpg", "val/train/1.jpg")
    assert list(vehicles.values()) == ["bus/train", "train/train", "bus/val", "train/val"]


@pytest.mark.parametrize(
    "names", [["1.jpg", "2.jpg"], ["a/1.jpg", "a/2.jpg"], ["train/1.jpg", "test/2.jpg"], ["cat.1.jpg"], []]
)
def test_names_without_labels_have_none(names):
    labelling = read_labels(names)
    assert not labelling.found
    assert list(labelling.unlabelled) == names


def test_one_known_class_is_enough_to_see_it():
    assert labels("cat.1.jpg", known=("Cat", "Dog")) == {"cat.1.jpg": "cat"}
    assert labels("new/CAT/1.jpg", "new/CAT/x/2.jpg", known=("cat", "dog")) == {
        "new/CAT/1.jpg": "CAT",
        "new/CAT/x/2.jpg": "CAT",
    }


def test_spellings_of_one_class():
    assert class_key("Straße") == class_key("STRASSE")
    assert class_key("k\u00e4tzchen") == class_key("Ka\u0308tzchen")
