import os

import pytest

from catsdogs.core.printable import printable


@pytest.mark.parametrize("text", ["cat.12 (2).jpg", "Ünïcode 猫🐈", r"a\b", ""])
def test_text_stays(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x07.jpg", r"\x1b[2J\x07.jpg"),
        ("a\nb\rc\td\x00", r"a\nb\rc\td\x00"),
        (os.fsdecode(b"caf\xe9"), r"caf\udce9"),
        ("\u202egpj.exe", r"\u202egpj.exe"),  # turns the direction of writing around
    ],
)
def test_what_steers_or_is_no_text_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
