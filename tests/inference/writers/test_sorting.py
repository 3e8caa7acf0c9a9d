"""Sorting into folders: links or copies, never outside, never over something."""

import os
import zipfile
from pathlib import Path

import pytest

from catsdogs.core.records import ImageRecord
from catsdogs.inference.writers.rows import Row
from catsdogs.inference.writers.sorting import SortedFolder

CLASSES = ("cat", "dog")


def called(name: str, label: str | None, status: str = "ok") -> Row:
    return Row(name, None, label, (), (), None, status, "damaged" if status == "error" else "")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("1.jpg", "a/1.jpg", "bad.jpg"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path / "photos"


def sort(folder: Path, photos: Path, *, copy: bool) -> None:
    target = SortedFolder(folder, CLASSES, copy=copy)
    for name, label, status in (
        ("1.jpg", "cat", "ok"),
        ("a/1.jpg", None, "abstain"),
        ("bad.jpg", None, "error"),
        ("gone.jpg", None, "error"),
    ):
        target.add(ImageRecord(name, str(photos), name), called(name, label, status))
    target.finish()


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix == ".jpg"
    }


@pytest.mark.parametrize("copy", [False, True])
class TestFolders:
    def test_one_a_class_and_again_changes_nothing(self, copy: bool, photos: Path, tmp_path: Path) -> None:
        for _ in range(2):
            sort(tmp_path / "out", photos, copy=copy)
            assert files(tmp_path / "out") == {
                "cat/1.jpg": b"1.jpg",
                "abstain/a/1.jpg": b"a/1.jpg",
                "unreadable/bad.jpg": b"bad.jpg",
            }
            assert (tmp_path / "out" / "cat" / "1.jpg").is_symlink() is not copy
        assert (tmp_path / "out" / "unreadable.csv").read_text().split() == [
            "path,reason",
            "bad.jpg,damaged",
            "gone.jpg,damaged",
        ]

    def test_nothing_is_overwritten(self, copy: bool, photos: Path, tmp_path: Path) -> None:
        there = tmp_path / "out" / "cat" / "1.jpg"
        there.parent.mkdir(parents=True)
        there.write_bytes(b"mine")
        sort(tmp_path / "out", photos, copy=copy)
        assert there.read_bytes() == b"mine"
        assert (tmp_path / "out" / "cat" / "1 (2).jpg").read_bytes() == b"1.jpg"


HOSTILE = [
    "../../up.jpg",
    "/etc/passwd",
    "..\\..\\up.jpg",
    "C:\\up.jpg",
    "a/../../../up.jpg",
    "..",
    "",
    "a\0b.jpg",
    "new\nline.jpg",
    "x" * 5000 + ".jpg",
    "é" * 200,
    os.fsdecode(b"\xff.jpg"),
    "\ud800.jpg",
    ". .",
    "con:1",
    "a/" * 1500 + "1.jpg",
    f"{'folder' * 30}/" * 30 + "1.jpg",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_inside(name: str, tmp_path: Path) -> None:
    archive = tmp_path / "photos.zip"
    with zipfile.ZipFile(archive, "w") as stream:
        stream.writestr("1.jpg", b"picture")
    before = set(tmp_path.iterdir())
    sorting = SortedFolder(tmp_path / "out", CLASSES, copy=False)
    for label in ("cat", name):
        sorting.add(ImageRecord(name, str(archive), "1.jpg"), called(name, label))
    found = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert {path.read_bytes() for path in found} == {b"picture"}
    assert len(found) in (1, 2)
    assert set(tmp_path.iterdir()) - before == {tmp_path / "out"}
    assert all(path.resolve().is_relative_to((tmp_path / "out").resolve()) for path in found)


def test_a_picture_called_like_a_folder(tmp_path: Path) -> None:
    archive = tmp_path / "photos.zip"
    with zipfile.ZipFile(archive, "w") as stream:
        stream.writestr("1.jpg", b"picture")
    sorting = SortedFolder(tmp_path / "out", CLASSES, copy=True)
    for name in ("a", "a/b.jpg", "a/c.jpg"):
        sorting.add(ImageRecord(name, str(archive), "1.jpg"), called(name, "cat"))
    assert len([path for path in (tmp_path / "out" / "cat").iterdir() if path.is_file()]) == 3


def test_what_lies_behind_a_link_is_left_alone(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "broken.jpg").write_bytes(b"nothing")
    sorting = SortedFolder(tmp_path / "out", CLASSES, copy=False)
    sorting.add(ImageRecord("photos", str(tmp_path), "photos"), called("photos", None, "error"))
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_symlink()]
    (tmp_path / "out" / "unreadable").mkdir(parents=True, exist_ok=True)
    (tmp_path / "out" / "unreadable" / "photos").symlink_to(photos)
    sorting.add(
        ImageRecord("photos/broken.jpg", str(photos), "broken.jpg"),
        called("photos/broken.jpg", None, "error"),
    )
    assert [path.name for path in photos.iterdir()] == ["broken.jpg"]
    assert (tmp_path / "out" / "unreadable" / "photos-broken.jpg").resolve() == photos / "broken.jpg"


def test_copies_have_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(b"picture")
    (tmp_path / "new").write_bytes(b"")
    sorting = SortedFolder(tmp_path / "out", CLASSES, copy=True)
    sorting.add(ImageRecord("1.jpg", str(tmp_path), "1.jpg"), called("1.jpg", "cat"))
    assert (tmp_path / "out" / "cat" / "1.jpg").stat().st_mode == (tmp_path / "new").stat().st_mode
