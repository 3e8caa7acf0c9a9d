"""How many threads or processes decode pictures."""

from __future__ import annotations

from catsdogs.core.errors import ConfigError
from catsdogs.models.choosing import available_cores

_MOST = 8


def decoding_workers(wanted: int | None = None) -> int:
    """Return the number asked for, or one a core up to eight.

    Raises:
        ConfigError: Fewer than none are asked for.
    """
    if wanted is not None and wanted < 0:
        raise ConfigError(f"workers must be 0 or more, not {wanted}")
    return min(available_cores(), _MOST) if wanted is None else wanted
