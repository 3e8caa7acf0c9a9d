import csv
from collections import Counter

import numpy as np
import pytest
from benchmarks.cells import (
    CELLS,
    Cell,
    Domain,
    draw_test,
    draw_training,
    half_of,
    unit_of,
    write_manifests,
)
from PIL import Image

from catsdogs.core.records import ImageRecord
from catsdogs.data.layouts import find_labelled


def patients(count, *, seed=0):
    """Pictures of patients who have one to four, some of both classes."""
    draw = np.random.default_rng(seed)
    return [
        ImageRecord(f"{patient}_{i}", "root", f"{patient}_{i}", draw.choice(["ill", "well"]), str(patient))
        for patient in range(count)
        for i in range(draw.integers(1, 5))
    ]


RECORDS = patients(300)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("pictures", [11, 40, 200])
def test_training_has_its_number_of_each_class(pictures, seed):
    counts = Counter(record.label for record in draw_training(RECORDS, pictures, ("cell", seed)))
    assert sorted(counts.values()) == [pictures // 2, (pictures + 1) // 2]


def test_patients_stay_whole():
    members = Counter(map(unit_of, RECORDS))
    cell = Cell(Domain("some", ""), 40)
    for chosen in (draw_training(RECORDS, 100, ("x",)), draw_test(RECORDS, cell, ("x",), most=60)):
        assert all(members[unit] == count for unit, count in Counter(map(unit_of, chosen)).items())


def test_a_draw_depends_on_its_words_and_not_on_the_order_of_the_pictures():
    drawn = [{r.id for r in draw_training(RECORDS, 40, ("cell", seed))} for seed in (0, 1)]
    assert drawn[0] != drawn[1]
    assert {r.id for r in draw_training(RECORDS[::-1], 40, ("cell", 0))} == drawn[0]


def test_halves_are_as_large_as_wanted():
    for seed in range(5):
        chosen = draw_test(RECORDS, Cell(Domain("some", ""), 40), ("x", seed), most=61)
        assert Counter(half_of(record, "some") for record in chosen) == {"a": 61, "b": 61}


def test_a_picture_is_in_one_half_in_all_cells_and_seeds():
    halves = {}
    for seed in range(3):
        for pictures in (20, 100):
            cell = Cell(Domain("some", ""), pictures)
            for record in draw_test(RECORDS, cell, (cell.name, seed)):
                assert halves.setdefault(unit_of(record), half_of(record, "some")) == half_of(record, "some")


@pytest.fixture
def photos(tmp_path):
    """A folder laid out like the real one, with small grey photos in place of the archive."""
    folder = tmp_path / "real" / "source"
    folder.mkdir(parents=True)
    for label in ("cat", "dog"):
        for number in range(15):
            Image.new("RGB", (40, 30), (9 * number, 0, 0)).save(folder / f"{label}.{number}.jpg")
    return tmp_path / "real"


def test_catsdogs_reads_both_manifests_and_they_share_no_picture(photos, tmp_path):
    cell = Cell(Domain("kaggle", "source"), 10)
    manifests = write_manifests(cell, 0, real=photos, work=tmp_path / "work")
    train, test = (find_labelled(str(path)).records for path in manifests)
    assert Counter(record.label for record in train) == {"cat": 5, "dog": 5}
    assert len(test) == 20
    assert not {record.id for record in train} & {record.id for record in test}
    assert {record.split for record in train} == {None}
    assert all((photos / "source" / record.name).is_file() for record in train)
    with manifests.test.open() as stream:
        assert {row["half"] for row in csv.DictReader(stream)} == {"a", "b"}


@pytest.mark.parametrize("task", ["rotation", "blur", "jpeg"])
def test_made_tasks_have_a_picture_of_every_photo_in_balanced_classes(task, photos, tmp_path):
    cell = Cell(Domain(task, "source"), 12)
    manifests = write_manifests(cell, 0, real=photos, work=tmp_path / "work")
    records = [record for path in manifests for record in find_labelled(str(path)).records]
    counts = Counter(record.label for record in records)
    assert len({record.name.rpartition("/")[2] for record in records}) == 30
    assert max(counts.values()) - min(counts.values()) <= 1
    with Image.open(records[0].id) as picture:
        assert picture.size == (256, 256)


def test_cells_are_those_of_the_matrix():
    assert len(CELLS) == 14
    assert CELLS["xray-40"].domain.group_by
    assert all("auto" in cell.domain.strategies for cell in CELLS.values())
