"""How many threads or processes decode pictures."""

from __future__ import annotations

from catsdogs.core.errors import ConfigError
from catsdogs.models.choosing import available_cores

_MOST = 8
# An epoch of fewer pictures is decoded before the first process could begin.
_FEW = 200


def decoding_workers(wanted: int | None = None) -> int:
    """Return the number asked for, or one a core up to eight.

    Raises:
        ConfigError: Fewer than none are asked for.
    """
    if wanted is not None and wanted < 0:
        raise ConfigError(f"workers must be 0 or more, not {wanted}")
    return min(available_cores(), _MOST) if wanted is None else wanted


def loading_processes(wanted: int | None, pictures: int) -> int:
    """Return how many processes make the examples of a training: what was asked for, and none for few.

    Raises:
        ConfigError: Fewer than none are asked for.
    """
    return 0 if wanted is None and pictures < _FEW else decoding_workers(wanted)
