r"""Names as cells of a table: text that every reader takes, that no spreadsheet runs, and that leads back.

Two rules, both undone by ``original``:

- What is no text, bytes of a file name that are not UTF-8, appears as ``\xff``. A name in which that stands
  literally, or that holds such bytes, has its backslashes doubled.
- A cell that a spreadsheet would run as a formula, because it begins with ``= + - @``, a tab or a carriage
  return, gets an apostrophe in front; so does one that begins with apostrophes before these.
"""

from __future__ import annotations

import re

_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPED = re.compile(r"\\(\\|x[0-9a-f]{2}|u[0-9a-f]{4})")
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def text(name: str) -> str:
    r"""Return a name as Unicode text.

    >>> text("caf\udce9.jpg")
    'caf\\xe9.jpg'
    """
    if not (_SURROGATE.search(name) or _ESCAPED.search(name)):
        return name
    return _SURROGATE.sub(_escape, name.replace("\\", "\\\\"))


def cell(name: str) -> str:
    """Return a name as a cell that is no formula.

    >>> cell("=1+1.jpg")
    "'=1+1.jpg"
    """
    shown = text(name)
    return f"'{shown}" if _FORMULA.match(shown) else shown


def original(shown: str) -> str:
    """Undo ``cell`` and ``text``.

    >>> original("'=1+1.jpg")
    '=1+1.jpg'
    """
    if shown.startswith("'") and _FORMULA.match(shown):
        shown = shown[1:]
    return _ESCAPED.sub(_unescape, shown)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def _unescape(match: re.Match[str]) -> str:
    kind, digits = match[1][0], match[1][1:]
    if kind == "\\":
        return "\\"
    return chr(int(digits, 16) + 0xDC00) if kind == "x" else chr(int(digits, 16))
