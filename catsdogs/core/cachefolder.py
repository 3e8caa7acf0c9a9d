"""Where catsdogs keeps what it can make again: features, audits, unpacked inner archives."""

import os
import sys
from pathlib import Path

from catsdogs.core.errors import OutputError


def cache_folder() -> Path:
    r"""Return the folder for caches; it need not exist yet, and may be deleted at any time.

    ``CATSDOGS_CACHE`` wins; then the platform decides: ``$XDG_CACHE_HOME/catsdogs`` where that is set,
    ``%LOCALAPPDATA%\catsdogs\Cache`` on Windows, ``~/Library/Caches/catsdogs`` on macOS,
    ``~/.cache/catsdogs`` elsewhere.

    Raises:
        OutputError: There is no home folder to put it in.

    Source: XDG Base Directory Specification 0.8; a relative ``XDG_CACHE_HOME`` is ignored as it demands.
    """
    try:
        named = os.environ.get("CATSDOGS_CACHE")
        return Path(named).expanduser().absolute() if named else _usual_folder()
    except RuntimeError as error:
        raise OutputError("there is no home folder for caches: set CATSDOGS_CACHE to a folder") from error


def _usual_folder() -> Path:
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if shared.is_absolute():
        return shared / "catsdogs"
    local = os.environ.get("LOCALAPPDATA")
    if sys.platform == "win32" and local:
        return Path(local) / "catsdogs" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "catsdogs"
    return Path.home() / ".cache" / "catsdogs"
