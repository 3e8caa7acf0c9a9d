"""What a run ran on: part of what is needed to repeat it."""

from __future__ import annotations

import platform

import torch

from catsdogs import __version__
from catsdogs.models.registry import timm_version


def environment() -> dict[str, str]:
    """Return name -> version of what numbers depend on."""
    return {
        "catsdogs": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "timm": timm_version(),
        "system": platform.platform(),
    }
