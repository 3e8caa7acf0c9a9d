"""Aside: what one of many runs says goes to a file, and people see only where it stands."""

from __future__ import annotations

import contextlib
import io
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.status import Status
from rich.text import Text

_SHOW_EVERY_S = 30.0
_WARNING = "warning:"


@contextlib.contextmanager
def aside(path: Path) -> Iterator[None]:
    """Append what is printed meanwhile to a file, which is made when the first line comes.

    People see warnings, and the latest line: in a terminal in one place, elsewhere at most twice a minute.
    """
    with contextlib.ExitStack() as stack:
        status = None
        if sys.stdout.isatty() and sys.stderr.isatty():
            status = stack.enter_context(Console(stderr=True).status(""))
        lines = stack.enter_context(_Lines(path, sys.stdout, status))
        stack.enter_context(contextlib.redirect_stdout(lines))
        yield


class _Lines(io.TextIOBase):
    """Takes text as a terminal would and deals with it line by line.

    Args:
        path: Of the file.
        shown: Where people look.
        status: The place for the latest line, in a terminal.
    """

    def __init__(self, path: Path, shown: TextIO, status: Status | None) -> None:
        self._path, self._shown, self._status = path, shown, status
        self._begun = ""
        self._last_shown = time.monotonic()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the terminal, by which ``say`` escapes."""
        return self._shown.encoding or "utf-8"

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, text: str) -> int:
        """Take text; a line counts when it ends."""
        *whole, self._begun = (self._begun + text).split("\n")
        for line in whole:
            self._take(line)
        return len(text)

    def close(self) -> None:
        """Keep a line that has not ended."""
        if self._begun:
            self.write("\n")
        super().close()

    def _take(self, line: str) -> None:
        with self._path.open("a", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(line + "\n")
        now = time.monotonic()
        if self._status is not None:
            self._status.update(Text(line))
        if line.startswith(_WARNING) or (self._status is None and now - self._last_shown > _SHOW_EVERY_S):
            self._last_shown = now
            print(f"  {line}", file=self._shown, flush=True)
