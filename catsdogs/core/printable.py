"""Text that a terminal may be given: file names are anybody's, and may steer it."""


def printable(text: str) -> str:
    r"""Escape control characters, line ends included, and bytes of names that are no text.

    >>> printable("cat \x1b[31m.jpg")
    'cat \\x1b[31m.jpg'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
