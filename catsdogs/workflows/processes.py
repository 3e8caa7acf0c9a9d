"""Which of several processes this one is, before any library has been asked."""

from __future__ import annotations

import os
import time
from pathlib import Path

from catsdogs.core.errors import ConfigError

_WAIT_S = 24 * 3600.0
_POLL_S = 0.5


def process_rank() -> int:
    """Return this process's rank among those of one training, as torchrun, SLURM or Lightning set it.

    Lightning's own launcher numbers the processes of a machine only; any that is not the very first is a
    follower, and all followers behave alike before the Trainer knows better.
    """
    if "RANK" in os.environ:
        return int(os.environ["RANK"])
    if int(os.environ.get("SLURM_NTASKS", "1")) > 1:
        return int(os.environ.get("SLURM_PROCID", "0"))
    return int(os.environ.get("LOCAL_RANK", "0")) + int(os.environ.get("NODE_RANK", "0"))


def launched_together() -> bool:
    """Say whether a launcher started several processes at once, so that none can name the run for all."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 or int(os.environ.get("SLURM_NTASKS", "1")) > 1


def wait_for(path: Path) -> None:
    """Wait until the first process has written ``path``.

    Raises:
        ConfigError: It has not within a day.
    """
    deadline = time.monotonic() + _WAIT_S
    while not path.exists():
        if time.monotonic() > deadline:
            raise ConfigError(f"{path} did not appear; the first process must have failed")
        time.sleep(_POLL_S)
