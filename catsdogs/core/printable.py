"""Text that a terminal may be given: file names are anybody's, and may steer it."""

import json
import re

# Colours and the like, which torch's exporter puts into its messages.
_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def printable(text: str) -> str:
    r"""Escape control characters, line ends included, and bytes of names that are no text.

    >>> printable("cat \x1b[31m.jpg")
    'cat \\x1b[31m.jpg'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def first_line(error: BaseException) -> str:
    r"""Return the first line of what an error of a library says, made fit for one line of ours.

    >>> first_line(ValueError("the \x1b[96mfirst\x1b[0m line\nand much more"))
    'the first line'
    """
    text = _TERMINAL_CODES.sub("", str(error)).strip() or type(error).__name__
    return json.dumps(text.splitlines()[0][:160], ensure_ascii=False)[1:-1]
