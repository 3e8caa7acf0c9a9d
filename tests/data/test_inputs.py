"""Inputs: whatever people name becomes records, found one after the other."""

import errno
import glob
import io
import os
import zipfile
from pathlib import Path

import pytest
from filling import fill, pack
from PIL import Image

from catsdogs.core.errors import DataError, OutputError, PictureError
from catsdogs.data.inputs import find_pictures
from catsdogs.data.pathlist import PathList
from catsdogs.data.patterns import NamePatterns
from catsdogs.data.stores import FolderStore, open_store


def test_pictures_of_a_folder_and_of_a_zip_are_all_its_files(tmp_path):
    names = ["b.jpg", "a/Thumbs.db", "a/.hidden", "a/no suffix", "cat.1.jpg"]
    folder = fill(tmp_path / "f", names, b"x")
    for place in (folder, Path(folder), pack(tmp_path / "f.zip", dict.fromkeys(names, b"x"))):
        records = find_pictures(place)
        assert [r.id for r in records] == sorted(names)
        assert {(r.label, r.group, r.split) for r in records} == {(None, None, None)}
        assert all(open_store(r.root).read(r.name, 9) == b"x" for r in records)


def test_a_zip_is_known_by_its_content_too(tmp_path):
    blob = Path(pack(tmp_path / "f.zip", {"1.jpg": b"x"})).rename(tmp_path / "0a1b2c")
    assert [r.id for r in find_pictures(str(blob))] == ["1.jpg"]
    (tmp_path / "broken.zip").write_bytes(b"x")
    with pytest.raises(DataError, match="readable"):
        find_pictures(str(tmp_path / "broken.zip"))


def test_one_file_is_one_record(tmp_path, monkeypatch):
    Image.new("RGB", (4, 4)).save(tmp_path / "cat.png")
    pack(tmp_path / "f.zip", {"in/1.jpg": b"x"})
    monkeypatch.chdir(tmp_path)
    for path, size in ((str(tmp_path / "cat.png"), 100), ("cat.png", 100), ("f.zip/in/1.jpg", 1)):
        (record,) = find_pictures(path)
        assert record.id == path
        assert open_store(record.root).read(record.name, size)


def test_missing_and_empty_inputs_are_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be opened: no such file"):
        find_pictures(str(tmp_path / "none.jpg"))
    with pytest.raises(DataError, match="holds no files"):
        find_pictures(str(tmp_path))


def test_a_list_keeps_its_order_and_what_is_missing_fails_when_it_is_read(tmp_path, monkeypatch):
    fill(tmp_path, ["b/1.jpg", "a.jpg"], b"x")
    pack(tmp_path / "f.zip", {"1.jpg": b"x"})
    fill(tmp_path, ["broken.zip"])
    monkeypatch.chdir(tmp_path)
    good = ["b/1.jpg", str(tmp_path / "a.jpg"), "f.zip/1.jpg", "a.jpg", "b/1.jpg"]
    bad = [
        "none.jpg",
        "no/such/1.jpg",
        "/no/such/1.jpg",
        "b",
        "f.zip/2.jpg",
        "broken.zip/1.jpg",
        "a.jpg/1.jpg",
    ]
    bad += ["", "a\0b", "\0/b", "x" * 5000, "x" * 5000 + "/1.jpg"]
    records = list(find_pictures(good + bad))
    assert [r.id for r in records] == good + bad
    assert [open_store(r.root).read(r.name, 9) for r in records[: len(good)]] == [b"x"] * len(good)
    for record in records[len(good) :]:
        with pytest.raises(PictureError):
            open_store(record.root).read(record.name, 9)
    assert list(find_pictures([])) == []


class TestATable:
    def test_paths_start_from_its_folder_and_are_the_ids(self, tmp_path) -> None:
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos/1.jpg").write_bytes(b"one")
        with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
            archive.writestr("cat/2.jpg", b"two")
        (tmp_path / "list.CSV").write_text(
            "label,path\ncat,photos/1.jpg\n,more.zip/cat/2.jpg\n,photos/none.jpg\n"
        )
        records = list(find_pictures(tmp_path / "list.CSV"))
        assert [record.id for record in records] == ["photos/1.jpg", "more.zip/cat/2.jpg", "photos/none.jpg"]
        assert [open_store(r.root).read(r.name, 100) for r in records[:2]] == [b"one", b"two"]
        some = find_pictures(tmp_path / "list.CSV", NamePatterns(include=("photos/*",)))
        assert [record.id for record in some] == ["photos/1.jpg", "photos/none.jpg"]

    @pytest.mark.parametrize(
        ("text", "patterns", "words"),
        [
            ("a,b\n1,2\n", {}, "needs one column called path"),
            ("path\n", {}, "it has no rows"),
            ("path\nx.png\n", {"include": ("*.jpg",)}, "leave none of its paths over"),
        ],
    )
    def test_mistakes(self, text, patterns, words, tmp_path) -> None:
        (tmp_path / "list.csv").write_text(text)
        with pytest.raises(DataError, match=words):
            find_pictures(str(tmp_path / "list.csv"), NamePatterns(**patterns))


def test_a_folder_called_drawn_is_a_folder_when_a_path_leads_into_it(tmp_path, monkeypatch):
    fill(tmp_path, ["drawn/1.jpg", "drawn:x/1.jpg"], b"x")
    monkeypatch.chdir(tmp_path)
    for inputs in ("./drawn", Path("drawn"), "drawn/1.jpg", ["drawn/1.jpg"], ["drawn:x/1.jpg"]):
        (record,) = find_pictures(inputs)
        assert open_store(record.root).read(record.name, 9) == b"x"


def ids(inputs, *, include=(), exclude=()) -> list[str]:
    return [record.id for record in find_pictures(inputs, NamePatterns(include, exclude))]


class TestPatterns:
    NAMES = ("1.JPG", "a/2.jpg", "a/b/3.png", "thumbs/a/4.jpg")

    @pytest.mark.parametrize(
        ("include", "exclude", "expected"),
        [
            ((), (), [0, 1, 2, 3]),
            (["*.jpg"], (), [0, 1, 3]),
            (["*.png", "1.*"], (), [0, 2]),
            ((), ["thumbs"], [0, 1, 2]),
            ((), ["a/"], [0]),
            (["a/*"], (), [1, 2]),
            (["a/b"], (), [2]),
            (["[12].jpg"], (), [0, 1]),
            (["*.jpg"], ["2.???"], [0, 3]),
        ],
    )
    def test_folder_archive_and_list_alike(self, include, exclude, expected, tmp_path) -> None:
        folder = fill(tmp_path / "f", list(self.NAMES), b"x")
        wanted = [self.NAMES[place] for place in expected]
        assert ids(folder, include=include, exclude=exclude) == wanted
        assert (
            ids(pack(tmp_path / "f.zip", dict.fromkeys(self.NAMES, b"x")), include=include, exclude=exclude)
            == wanted
        )
        assert ids(list(self.NAMES), include=include, exclude=exclude) == wanted

    def test_one_file(self, tmp_path) -> None:
        fill(tmp_path, ["1.jpg"], b"x")
        path = str(tmp_path / "1.jpg")
        assert ids(path, include=["*.jpg"]) == [path]
        for inputs in (path, [path], str(tmp_path / "*.jpg")):
            with pytest.raises(DataError, match="--include and --exclude leave none of the files over"):
                ids(inputs, exclude=["*.jpg"])
        assert ids([], exclude=["*.jpg"]) == []

    def test_nothing_left_is_a_mistake(self, tmp_path) -> None:
        with pytest.raises(DataError, match="no files that --include and --exclude leave over"):
            find_pictures(fill(tmp_path / "f", ["1.jpg"]), NamePatterns(include=["*.png"]))


class TestGlobs:
    def test_files_in_order(self, tmp_path, monkeypatch) -> None:
        fill(tmp_path, ["b.jpg", "a/1.jpg", "a/b/2.jpg", "a/3.png"], b"x")
        monkeypatch.chdir(tmp_path)
        assert ids("**/*.jpg") == ["a/1.jpg", "a/b/2.jpg", "b.jpg"]
        assert ids("a*") == [] if (tmp_path / "a*").exists() else True

    def test_a_file_may_be_called_like_a_pattern(self, tmp_path, monkeypatch) -> None:
        fill(tmp_path, ["[1].jpg", "1.jpg"], b"x")
        monkeypatch.chdir(tmp_path)
        assert ids("[1].jpg") == ["[1].jpg"]
        with pytest.raises(DataError, match="no file matches"):
            find_pictures("*.gif")

    @pytest.mark.parametrize(
        ("pattern", "expected"),
        [
            ("g/**/*.jpg", ["g/1.jpg", "g/a/2.jpg", "g/a/b/3.jpg"]),
            ("**/b/*", ["g/a/b/3.jpg", "g/a/b/4.png"]),
            ("g/**", ["g/1.jpg", "g/a/2.jpg", "g/a/b/3.jpg", "g/a/b/4.png"]),
            ("?/**/b/**/*.png", ["g/a/b/4.png"]),
            ("g/**/**/*.jpg", ["g/1.jpg", "g/a/2.jpg", "g/a/b/3.jpg"]),
            ("./g/**/2.*", ["./g/a/2.jpg"]),
            ("g/.*/**/*.jpg", ["g/.hidden/5.jpg"]),
        ],
    )
    def test_any_folders_between(self, pattern, expected, tmp_path, monkeypatch) -> None:
        names = ["1.jpg", "a/2.jpg", "a/b/3.jpg", "a/b/4.png", ".hidden/5.jpg"]
        fill(tmp_path / "g", names, b"x")
        monkeypatch.chdir(tmp_path)
        assert ids(pattern) == expected == sorted(set(_plain_glob(pattern)))
        absolute = str(tmp_path / pattern.removeprefix("./"))
        assert ids(absolute) == [str(tmp_path / name) for name in expected]

    def test_links_in_a_circle_are_not_followed(self, tmp_path) -> None:
        fill(tmp_path / "g", ["1.jpg", "a/2.jpg"], b"x")
        fill(tmp_path / "elsewhere", ["3.jpg"], b"x")
        for folder in ("g/a", "g/b", "g/c"):  # glob would go through these 3 ** 40 times
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / "up").symlink_to(tmp_path / "g")
        (tmp_path / "g" / "link").symlink_to(tmp_path / "elsewhere")
        found = [
            record.id.removeprefix(f"{tmp_path}/g/") for record in find_pictures(f"{tmp_path}/g/**/*.jpg")
        ]
        assert found == ids(str(tmp_path / "g")) == ["1.jpg", "a/2.jpg", "link/3.jpg"]


def _plain_glob(pattern: str) -> list[str]:
    found = glob.iglob(pattern, recursive=True)  # noqa: PTH207
    return [path for path in found if Path(path).is_file()]


class TestLists:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (b"a.jpg\nb c.jpg\r\n\n\xff.jpg", ["a.jpg", "b c.jpg", os.fsdecode(b"\xff.jpg")]),
            (b"a\nb.jpg\0c.jpg\0", ["a\nb.jpg", "c.jpg"]),
            (b"", []),
        ],
    )
    def test_lines_or_zero_bytes(self, text, expected, monkeypatch) -> None:
        monkeypatch.setattr("catsdogs.data.pathlist._PIECE_BYTES", 3)
        paths = PathList.spooled(io.BytesIO(text))
        assert list(paths) == list(paths) == expected
        assert ids(paths) == expected
        file = paths.file
        del paths
        assert not file.exists()

    def test_an_interrupt_while_reading_leaves_nothing(self, tmp_path, monkeypatch) -> None:
        class Interrupted(io.BytesIO):
            def read(self, *_: object) -> bytes:
                raise KeyboardInterrupt

        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        with pytest.raises(KeyboardInterrupt):
            PathList.spooled(Interrupted())
        assert list(tmp_path.iterdir()) == []

    def test_no_room_is_one_line(self, tmp_path, monkeypatch) -> None:
        class Full(io.BytesIO):
            def read(self, *_: object) -> bytes:
                raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        with pytest.raises(
            OutputError, match=r"cannot keep the list of paths in .*: no space left on device"
        ):
            PathList.spooled(Full())
        assert list(tmp_path.iterdir()) == []
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
        with pytest.raises(OutputError, match=r"cannot keep the list of paths in .*: no such file"):
            PathList.spooled(io.BytesIO(b"1.jpg"))


class TestFinding:
    def test_again_and_again_and_counted(self, tmp_path) -> None:
        pictures = find_pictures(fill(tmp_path / "f", ["2.jpg", "1/3.jpg", "10.jpg", "1.jpg"], b"x"))
        assert (
            [r.id for r in pictures]
            == [r.id for r in pictures]
            == sorted(["2.jpg", "1/3.jpg", "10.jpg", "1.jpg"])
        )
        assert len(pictures) == 4

    def test_no_file_is_looked_at_before_its_turn(self, tmp_path, monkeypatch) -> None:
        folder = fill(tmp_path / "f", [f"{n}/{n}.jpg" for n in range(9)], b"x")
        pictures = find_pictures(folder)
        listed = []
        scandir = os.scandir
        monkeypatch.setattr(os, "scandir", lambda path: listed.append(path) or scandir(path))
        found = iter(pictures)
        next(found)
        before = len(listed)
        list(found)
        assert len(listed) == before + 8

    def test_folders_that_cannot_be_listed_are_named(self, tmp_path, monkeypatch) -> None:
        def folders(store: FolderStore) -> set[str]:
            store.unreadable_folders = ("locked",)
            return {""}

        monkeypatch.setattr(FolderStore, "_folders", folders)
        assert find_pictures(fill(tmp_path / "f", ["1.jpg"])).problems == ("folder locked cannot be listed",)


@pytest.mark.real
def test_the_real_archives(real):
    assert len(find_pictures(str(real / "data" / "dogs-vs-cats" / "test1.zip"))) == 500
    assert len(find_pictures(str(real / "data" / "hostile.zip"))) == 4791
