"""The settings of a run as the file that lies in its folder, and that ``--config`` takes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import yaml

from catsdogs.core.errors import ConfigError
from catsdogs.core.nesting import nested
from catsdogs.workflows.runfolder import RunFolder
from catsdogs.workflows.settings import TrainSettings


def settings_text(settings: TrainSettings) -> str:
    """Return the settings as YAML, which ``--config`` and ``read_settings`` take."""
    return yaml.safe_dump(asdict(settings), sort_keys=False, allow_unicode=True)


def read_settings(run: RunFolder) -> TrainSettings:
    """Return the settings that a run was started with.

    Raises:
        ConfigError: The file is damaged.
    """
    try:
        values: dict[str, Any] = yaml.safe_load(run.config.read_text(encoding="utf-8"))
        return nested(TrainSettings, values)
    except (OSError, yaml.YAMLError, AttributeError, TypeError) as error:
        raise ConfigError(f"{run.config} is damaged: {' '.join(str(error).split())[:200]}") from error
