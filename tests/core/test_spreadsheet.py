"""Every spreadsheet's CSV says the same."""

import pytest

from catsdogs.core.errors import DataError
from catsdogs.core.spreadsheet import read_rows

ROWS = [["path", "label"], ["a, b.jpg", "cat"], ["c.jpg", "dog"]]


@pytest.mark.parametrize(
    "text",
    [
        b'path,label\n"a, b.jpg",cat\nc.jpg,dog\n',
        b'path,label\r\n\r\n"a, b.jpg",cat\r\n , \r\nc.jpg,dog',
        b"path;label\r\na, b.jpg;cat\r\nc.jpg;dog\r\n",
        b"sep=;\r\npath;label\r\na, b.jpg;cat\r\nc.jpg;dog\r\n",
        b"\xef\xbb\xbfpath\tlabel\na, b.jpg\tcat\nc.jpg\tdog\n",
        b'\n\npath, label\n"a, b.jpg", "cat"\nc.jpg, dog\n',
    ],
)
def test_delimiters_marks_and_blank_lines_make_no_difference(tmp_path, text) -> None:
    (tmp_path / "x.csv").write_bytes(text)
    assert [cells for _, cells in read_rows(tmp_path / "x.csv")] == ROWS


def test_lines_are_those_of_the_file(tmp_path) -> None:
    (tmp_path / "x.csv").write_text('sep=,\npath,label\n\n"a\nb",cat\nc,dog\n')
    assert [(line, cells[0]) for line, cells in read_rows(tmp_path / "x.csv")] == [
        (2, "path"),
        (5, "a\nb"),
        (6, "c"),
    ]


def test_spaces_before_a_name_are_kept_where_names_may_have_them(tmp_path) -> None:
    (tmp_path / "x.csv").write_text("label,path\ncat, a.jpg\n")
    assert list(read_rows(tmp_path / "x.csv", skip_spaces=False))[1][1] == ["cat", " a.jpg"]


@pytest.mark.parametrize(
    ("text", "message"),
    [(b"path\n\xff\n", "is not UTF-8"), (b'path,label\n"a"b,cat\n', "line 2"), (None, "cannot be read")],
)
def test_what_is_no_table_is_one_line(tmp_path, text, message) -> None:
    if text is not None:
        (tmp_path / "x.csv").write_bytes(text)
    with pytest.raises(DataError, match=message):
        list(read_rows(tmp_path / "x.csv"))


def test_nothing_is_no_rows(tmp_path) -> None:
    (tmp_path / "x.csv").write_bytes(b"")
    assert list(read_rows(tmp_path / "x.csv")) == []
