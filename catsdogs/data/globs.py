"""Patterns of paths, as shells have them: which files there are that match one."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator

from catsdogs.data.manifest import mode_of
from catsdogs.data.stores import folders_below

is_pattern = glob.has_magic


def files_matching(pattern: str) -> set[str]:
    """Return the paths of the files that a pattern matches; hidden ones only where it names them.

    ``**`` stands for any folders, as many as there are between two others: the same that prediction finds in
    a folder, each once. ``glob`` follows links there as often as the system allows, which may be for ever.
    """
    return {path for path in _matching(pattern) if stat.S_ISREG(mode_of(path))}


def _matching(pattern: str) -> Iterator[str]:
    above, found, below = _divided(pattern)
    if not found:
        yield from glob.iglob(pattern)  # noqa: PTH207 - absolute patterns too
        return
    tops = glob.iglob(above) if above else [""]  # noqa: PTH207
    for top in tops:
        for prefix in folders_below(top or os.curdir):
            if not any(part.startswith(".") for part in prefix.split("/")):
                yield from _matching(os.path.join(glob.escape(top + prefix), below or "*"))  # noqa: PTH118


def _divided(pattern: str) -> tuple[str, bool, str]:
    """Return what stands before the first part that is ``**``, whether there is one, and what is behind."""
    parts = pattern.replace(os.sep, "/").split("/")
    if "**" not in parts:
        return pattern, False, ""
    place = parts.index("**")
    above = "".join(f"{part}/" for part in parts[:place])
    return above, True, "/".join(parts[place + 1 :])
