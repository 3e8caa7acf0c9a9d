"""Patterns of names, as shells have them: which files of a folder or an archive are wanted."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class NamePatterns:
    """Which names are wanted: those that ``include`` matches, or all where it is empty, less ``exclude``.

    ``*`` stands for any characters, slashes too, ``?`` for one, ``[ab]`` for one of these; case does not
    matter. A pattern matches a file by its whole name in the folder, by the last part of it, or by any folder
    above it, whole or its last part: ``*.jpg``, ``2024``, ``holiday/beach``.
    """

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()

    def wants(self, name: str) -> bool:
        """Return whether a file is wanted.

        >>> NamePatterns(include=["*.JPG"], exclude=["thumbs"]).wants("a/thumbs/1.jpg")
        False
        """
        if self._included is not None and not _matches(self._included, name):
            return False
        return self._excluded is None or not _matches(self._excluded, name)

    @cached_property
    def _included(self) -> re.Pattern[str] | None:
        return _compiled(self.include)

    @cached_property
    def _excluded(self) -> re.Pattern[str] | None:
        return _compiled(self.exclude)


def _compiled(patterns: Sequence[str]) -> re.Pattern[str] | None:
    if not patterns:
        return None
    return re.compile("|".join(fnmatch.translate(each.rstrip("/")) for each in patterns), re.IGNORECASE)


def _matches(pattern: re.Pattern[str], name: str) -> bool:
    return any(pattern.match(part) for part in _parts(name))


def _parts(name: str) -> Iterator[str]:
    while name:
        yield name
        folder, _, last = name.rpartition("/")
        yield last
        name = folder
