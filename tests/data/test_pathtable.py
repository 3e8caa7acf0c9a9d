"""A column of paths out of any spreadsheet's CSV."""

import pytest

from catsdogs.core.errors import DataError
from catsdogs.data.pathtable import read_paths


@pytest.mark.parametrize(
    "text",
    [
        "path,label\na/1.jpg,cat\nb 2.jpg,dog\n",
        "\ufefflabel;PATH\r\ncat;a/1.jpg\r\n\r\ndog;b 2.jpg\r\n",
        "sep=;\npath;note\na/1.jpg;\nb 2.jpg\n",
    ],
)
def test_in_the_order_of_rows(text, tmp_path):
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    assert list(read_paths(str(tmp_path / "t.csv"))) == ["a/1.jpg", "b 2.jpg"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "needs one column called path: its first line is ''"),
        ("name,label\na,b\n", "needs one column called path: its first line is 'name,label'"),
        ("path,path\na,b\n", "needs one column called path"),
        ("path,label\na,b\n,c\n", "line 3: the path is empty"),
        ("label,path\nb\n", "line 2: the path is empty"),
    ],
)
def test_mistakes_are_named(text, words, tmp_path):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError) as caught:
        list(read_paths(str(tmp_path / "t.csv")))
    assert words in str(caught.value)
