"""The CSV that a person edits: whatever a spreadsheet makes of it is read, and mistakes are named."""

import csv
import math

import pytest

from catsdogs.core.errors import DataError
from catsdogs.evaluation.labelcheck import LabelDoubt
from catsdogs.workflows.labelfile import is_edited, read_labels_file, write_labels

DOUBTS = [
    LabelDoubt("b.jpg", "dog", "cat", 0.02, 0.98, -3.9, suspected=True, reason="looks like cat"),
    LabelDoubt("=1+1, ä\\é.jpg", "cat", "cat", math.nan, math.nan, math.nan, suspected=True),
    LabelDoubt("caf\udce9.jpg", "cat", "cat", 0.9, 0.9, 2.2, suspected=False),
]


def read(path):
    return [(row.path, row.label) for row in read_labels_file(str(path))]


def test_what_is_written_is_read(tmp_path):
    write_labels(tmp_path / "l.csv", DOUBTS)
    assert read(tmp_path / "l.csv") == [(doubt.id, doubt.given) for doubt in DOUBTS]
    with (tmp_path / "l.csv").open(newline="", encoding="utf-8") as stream:
        first, second, _ = csv.DictReader(stream)
    columns = "path,label,given,suggested,probability,score,suspected,reason,checked"
    assert ",".join(first) == columns
    assert (first["label"], first["suspected"], first["probability"]) == ("dog", "yes", "0.02")
    assert second["path"].startswith("'=")
    assert (second["probability"], second["checked"]) == ("", "")


def test_what_was_corrected_before_is_in_it_again(tmp_path):
    earlier = {"z.jpg": ("dog", "remove"), "b.jpg": ("cat", "dog"), "y.jpg": ("cat", "dog")}
    write_labels(tmp_path / "l.csv", DOUBTS[:1], earlier=earlier)
    assert read(tmp_path / "l.csv") == [("b.jpg", "dog"), ("z.jpg", "remove"), ("y.jpg", "dog")]
    with (tmp_path / "l.csv").open(newline="", encoding="utf-8") as stream:
        assert [(row["given"], row["checked"]) for row in csv.DictReader(stream)] == [
            ("cat", "before"),
            ("dog", "before"),
            ("cat", "before"),
        ]


def test_a_second_thought_about_an_earlier_correction_is_an_edit(tmp_path):
    earlier = {"=z.jpg": ("dog", "remove"), "b.jpg": ("cat", "dog")}
    path = tmp_path / "l.csv"
    write_labels(path, DOUBTS, earlier=earlier)
    assert not is_edited(path, earlier=earlier)
    text = path.read_text(encoding="utf-8")
    for before, after in (("b.jpg,dog,cat", "b.jpg,cat,cat"), ("z.jpg,remove", "z.jpg,dog")):
        assert before in text
        path.write_text(text.replace(before, after), encoding="utf-8")
        assert is_edited(path, earlier=earlier)


@pytest.mark.parametrize(
    "content",
    [
        b"path,label\na.jpg,Dog\nb.jpg,remove\n",
        b"\xef\xbb\xbfpath;label\r\na.jpg;Dog\r\nb.jpg;remove\r\n",
        b"PATH\tLabel\tnotes\ra.jpg\tDog\t\rb.jpg\tremove\t\r",
        b"sep=;\r\npath;label\r\na.jpg; Dog \r\n;;\r\n\r\nb.jpg;remove\r\n",
        b'label,checked,path\n"Dog",,"a.jpg"\nremove,x,b.jpg\n,,\n',
        b"path,label,,\na.jpg,Dog,,\nb.jpg,remove,,\n",
    ],
    ids=["plain", "bom and semicolons", "tabs and old Mac", "sep line", "other order", "empty columns"],
)
def test_what_spreadsheets_make_of_it(content, tmp_path):
    (tmp_path / "l.csv").write_bytes(content)
    assert read(tmp_path / "l.csv") == [("a.jpg", "Dog"), ("b.jpg", "remove")]


def test_a_row_that_ends_early_says_nothing(tmp_path):
    (tmp_path / "l.csv").write_text("path,label,checked\na.jpg\nb.jpg,cat,yes\n")
    assert [(row.label, row.checked, row.line) for row in read_labels_file(str(tmp_path / "l.csv"))] == [
        ("", False, 2),
        ("cat", True, 3),
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "has no column path"),
        (b"name,label\na,cat\n", "has no column path: its first line is 'name,label'"),
        (b"path,label,label\na,cat,dog\n", "has the column label twice"),
        (b"path,label\n,cat\n", "line 2: the label 'cat' has no path"),
        (b"path,label\n\xff\xfe,cat\n", "save it as 'CSV UTF-8'"),
        (b'path,label\n"' + b"a" * 200_000, "line 2: field larger than field limit"),
    ],
)
def test_mistakes_are_named(content, words, tmp_path):
    (tmp_path / "l.csv").write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_labels_file(str(tmp_path / "l.csv"))


def test_no_file(tmp_path):
    with pytest.raises(DataError, match="cannot be read: no such file"):
        read_labels_file(str(tmp_path / "none.csv"))
