import os
import zipfile
from pathlib import Path

import pytest

from catsdogs.core.errors import DataError
from catsdogs.core.records import ImageRecord
from catsdogs.data.manifest import locate, mode_of, read_manifest
from catsdogs.data.stores import open_store


def write(path: Path, text: str, encoding: str = "utf-8") -> str:
    path.write_bytes(text.encode(encoding))
    return str(path)


def refusal(path: Path, text: str, encoding: str = "utf-8") -> str:
    with pytest.raises(DataError) as caught:
        read_manifest(write(path, text, encoding))
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("cat", "elsewhere", "manifests"):
        (tmp_path / name).mkdir()
    (tmp_path / "cat" / "1.jpg").write_bytes(b"in a folder")
    (tmp_path / "elsewhere" / "2.jpg").write_bytes(b"by its absolute path")
    with zipfile.ZipFile(tmp_path / "Photos.ZIP", "w") as archive:
        archive.writestr("dog/3.jpg", b"in a zip")
    return tmp_path


def test_pictures_come_from_several_places(place):
    text = (
        "path,label,group,split\n"
        "../cat/1.jpg,cat,anna,train\n"
        f"{place}/elsewhere/2.jpg,cat,,Validation\n"
        "../Photos.ZIP/dog/3.jpg,dog,ben,\n"
    )
    records = read_manifest(write(place / "manifests" / "m.csv", text))
    assert [(r.label, r.group, r.split) for r in records] == [
        ("cat", "anna", "train"),
        ("cat", None, "val"),
        ("dog", "ben", None),
    ]
    assert [r.id for r in records] == ["../cat/1.jpg", f"{place}/elsewhere/2.jpg", "../Photos.ZIP/dog/3.jpg"]
    data = [open_store(r.root).read(r.name, 100) for r in records]
    assert data == [b"in a folder", b"by its absolute path", b"in a zip"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_columns_in_any_order_others_ignored_spaces_and_quotes(place, encoding, newline):
    text = ' Label ,note,PATH\n\n chat noir ,x, "cat/a, ""b""é.jpg"\ncat,,cat/1.jpg\n'.replace("\n", newline)
    records = read_manifest(write(place / "m.csv", text, encoding))
    root = str(place / "cat")
    assert records == [
        ImageRecord('cat/a, "b"é.jpg', root, 'a, "b"é.jpg', "chat noir"),
        ImageRecord("cat/1.jpg", root, "1.jpg", "cat"),
    ]


def test_a_spreadsheet_of_another_country_separates_by_semicolons(place):
    records = read_manifest(write(place / "m.csv", "sep=;\npath;label\ncat/1.jpg;cat, tabby\n"))
    assert [(r.id, r.label) for r in records] == [("cat/1.jpg", "cat, tabby")]


def test_a_missing_picture_is_left_for_later_but_a_missing_folder_is_not(place):
    assert read_manifest(write(place / "m.csv", "path,label\ncat/none.jpg,cat\n"))[0].name == "none.jpg"
    message = refusal(place / "m.csv", "path,label\ncat/1.jpg,cat\nnowhere/1.jpg,cat\n")
    assert "line 3: there is no folder" in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is empty: expected the columns path,label[,group][,split]"),
        ("cat/1.jpg,cat\n", "has no column path and no column label: its first line is 'cat/1.jpg,cat'"),
        ("path,split\n", "has no column label"),
        ("path,label,path\n", "has the column path twice"),
        ("path,label\ncat/1.jpg,\n", "line 2: the label is empty"),
        ("path,label\ncat/1.jpg,  \n", "line 2: the label is empty"),
        ("path,label\ncat/1.jpg\n", "line 2: the label is empty"),
        ("path,label\n\n,cat\n", "line 3: the path is empty"),
        ("path,label\ncat/1.jpg,cat,what\n", "line 2: more values than columns"),
        ("path,label,split\ncat/1.jpg,cat,dev\n", "line 2: split 'dev' is not one of train, val, test"),
        ("path,label\ncat/1.jpg,a\ncat/./1.jpg,b\n", "line 3: cat/./1.jpg is listed twice, first on line 2"),
        ('path,label\n"cat/1.jpg,cat\n', "line 2: unexpected end of data"),
    ],
)
def test_every_mistake_is_named_with_its_line(place, text, expected):
    assert expected in refusal(place / "m.csv", text)


def test_other_encodings_and_missing_files_are_refused(place):
    assert "is not UTF-8" in refusal(place / "m.csv", "path,label\ncat/ü.jpg,cat\n", "latin-1")
    assert "is not UTF-8" in refusal(place / "m.csv", "path,label\n", "utf-16")
    with pytest.raises(DataError, match=r"none\.csv cannot be read: no such file"):
        read_manifest(str(place / "none.csv"))


def test_locate_finds_the_outermost_zip_and_plain_paths(place, monkeypatch):
    monkeypatch.chdir(place)
    assert locate("Photos.ZIP/./dog//3.jpg") == ("Photos.ZIP", "dog/3.jpg")
    assert locate("Photos.ZIP/inner.zip/3.jpg") == ("Photos.ZIP", "inner.zip/3.jpg")
    assert locate("Photos.ZIP") == (".", "Photos.ZIP")
    assert locate("none.zip/3.jpg") == ("none.zip", "3.jpg")
    assert locate("1.jpg") == (".", "1.jpg")
    assert locate("1.jpg", base="cat") == ("cat", "1.jpg")
    assert locate("/abs/1.jpg", base="cat") == (os.fspath(Path("/abs")), "1.jpg")
    (place / "folder.zip").mkdir()
    assert locate("folder.zip/1.jpg") == ("folder.zip", "1.jpg")


def test_mode_of_never_fails():
    assert mode_of(".")
    assert [mode_of(path) for path in ("missing", "a\0b", "x" * 5000)] == [0, 0, 0]
