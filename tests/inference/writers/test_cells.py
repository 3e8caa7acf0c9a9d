r"""Names in cells: no spreadsheet runs them, and they come back as they were."""

import csv
import io
import os
import random

import pytest

from catsdogs.inference.writers.cells import cell, original, text

NAMES = [
    "new\nline.jpg",
    "carriage\rreturn.jpg",
    'quo"te.jpg',
    "com,ma;semi.jpg",
    "=HYPERLINK(1).jpg",
    "+1.jpg",
    "-1.jpg",
    "@SUM(1).jpg",
    "\ttab.jpg",
    "\rreturn.jpg",
    "'=quoted.jpg",
    "''=twice.jpg",
    "'plain.jpg",
    " space .jpg",
    "猫🐈.jpg",
    "back\\slash.jpg",
    "back\\xffslash.jpg",
    "\\\\server\\u1234",
    "a=b.jpg",
    "",
    os.fsdecode(b"caf\xe9.jpg"),
    os.fsdecode(b"=caf\xe9\\xe9\\.jpg"),
    "\ud800.jpg",
]


@pytest.mark.parametrize("name", NAMES)
def test_through_a_csv_and_back(name: str) -> None:
    stream = io.StringIO(newline="")
    csv.writer(stream).writerow([cell(name), "x"])
    written = stream.getvalue().encode("utf-8").decode("utf-8")
    shown, _ = next(csv.reader(io.StringIO(written, newline="")))
    assert original(shown) == name
    assert shown[:1] not in tuple("=+-@\t\r")


def test_any_name_comes_back() -> None:
    chance = random.Random(0)
    for _ in range(3000):
        name = "".join(chance.choice("'=+-@\t\r\\xu0ef\udcff\ud800a") for _ in range(chance.randrange(9)))
        assert original(cell(name)) == name
        assert original(text(name)) == name or name.startswith("'")


def test_ordinary_names_stay_as_they_are() -> None:
    for name in ("a/b.jpg", "C:\\users\\me.jpg", "é.jpg", "'plain'.jpg", "a-b=c.jpg"):
        assert cell(name) == text(name) == name
