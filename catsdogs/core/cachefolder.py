"""Where catsdogs keeps what it can make again, and how large that may grow."""

import os
import re
import sys
from pathlib import Path

from catsdogs.core.errors import ConfigError, OutputError

DEFAULT_CAP_BYTES = 2 * 10**9
_LIMIT_VARIABLE = "CATSDOGS_CACHE_LIMIT"


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


def cap_limit_bytes() -> int:
    """Return how large the features, and the converted models, may grow: ``CATSDOGS_CACHE_LIMIT``, else 2 GB.

    Raises:
        ConfigError: It is not a size such as 500MB, 2GB, 1.5GiB, or 0 for no cache.
    """
    text = os.environ.get(_LIMIT_VARIABLE, "").strip()
    if not text:
        return DEFAULT_CAP_BYTES
    parsed = re.fullmatch(r"(\d+(?:\.\d+)?) ?(?:([KMGT]?)(I?)B?)", text, re.ASCII | re.IGNORECASE)
    if parsed is None:
        raise ConfigError(f"{_LIMIT_VARIABLE} is a size such as 500MB or 2GB (0: no cache), not {text!r}")
    number, prefix, binary = parsed.groups()
    return int(float(number) * (1024 if binary else 1000) ** " KMGT".index(prefix.upper() or " "))


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
