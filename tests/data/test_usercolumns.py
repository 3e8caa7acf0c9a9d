import numpy as np
import pytest

from catsdogs.core.columns import NumberColumn, WordColumn
from catsdogs.core.errors import DataError
from catsdogs.data.usercolumns import read_columns

IDS = [f"cat/{n}.jpg" for n in range(8)] + ["dog/0.jpg"]


def written(tmp_path, text):
    path = tmp_path / "more.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_numbers_words_and_codes(tmp_path):
    rows = [f"cat/{n}.jpg,{n / 2},{'inside' if n % 2 else ''},{n % 2}" for n in range(8)]
    columns, problems = read_columns(
        written(tmp_path, "\n".join(["Path,age,place,flash", *rows, "dog/0.jpg,,outside,1"])), IDS
    )
    age, place, flash = columns
    assert isinstance(age, NumberColumn)
    np.testing.assert_array_equal(age.values, [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, np.nan])
    assert (age.low, age.high) == ("low age", "high age")
    assert isinstance(place, WordColumn)
    assert place.values[:3] == (None, "inside", None)
    assert isinstance(flash, WordColumn)
    assert problems == []


def test_a_file_name_is_enough_where_only_one_picture_has_it(tmp_path):
    path = written(tmp_path, "path,place\n1.jpg,here\n0.jpg,there\nC:\\photos\\cat\\2.jpg,here\n9.jpg,here\n")
    (place,), problems = read_columns(path, IDS)
    assert place.values == (None, "here", "here", *[None] * 6)
    assert problems == [f"{path}: 2 paths match no picture or several (0.jpg); 7 of 9 pictures have no row"]


def test_a_file_about_all_pictures_may_name_others_like_these(tmp_path):
    rows = [f"{kind}/{n}.jpg,{'in' if kind == 'cat' else 'out'}" for kind in ("cat", "dog") for n in range(8)]
    (place,), problems = read_columns(written(tmp_path, "\n".join(["path,place", *rows])), IDS[3:])
    assert place.values == (*["in"] * 5, "out")
    assert "10 paths match no picture" in problems[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("name,place\n1.jpg,here\n", "expected a column path"),
        ("path\n1.jpg\n", "expected a column path and others"),
        ("path,place,place\n1.jpg,a,b\n", "names of their own"),
        ("path,place\n1.jpg,here,there\n", "line 2: 3 values, the header has 2"),
        ("path,place\n1.jpg,here\ncat/1.jpg,there\n", "line 3: cat/1.jpg is listed twice"),
        ("path,place\nx.jpg,here\n", "none of its 1 paths is a picture of this evaluation"),
        ('path,place\n"1.jpg,here\n', "unexpected end of data"),
    ],
)
def test_mistakes_are_one_line(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_columns(written(tmp_path, text), IDS)


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(DataError, match="cannot be read: no such file"):
        read_columns(tmp_path / "none.csv", IDS)
