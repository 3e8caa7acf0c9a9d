"""Reading weights that a stranger may have made: tensors by name and text, nothing that runs."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file
from torch import Tensor

from catsdogs.core.errors import ModelError
from catsdogs.core.printable import first_line

_WRAPPERS = ("state_dict_ema", "state_dict", "model")


def read_weights(source: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read tensors and metadata of a local safetensors or PyTorch file; nothing in it can run.

    Raises:
        ModelError: The path is a URL, missing, or not a file of tensors.
    """
    if "://" in source:
        raise ModelError(f"{source} is a URL; weights come from a local file, or from timm with 'hub'")
    path = Path(source)
    if not path.is_file():
        raise ModelError(f"{source}: no such weights file (give a file, 'hub' or 'none')")
    try:
        if path.suffix == ".safetensors":
            with safetensors.safe_open(path, framework="pt") as opened:
                metadata = opened.metadata() or {}
            return load_file(path), metadata
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch's own message explains how to run what the file holds.
        reason = "it is damaged, or holds more than tensors"
        raise ModelError(f"{source} cannot be read as weights: {reason}") from error
    except Exception as error:  # unpickling damaged bytes raises whatever they happen to spell
        raise ModelError(f"{source} cannot be read as weights: {first_line(error)}") from error
    return _state_dict(loaded, source), {}


def _state_dict(loaded: Any, source: str) -> dict[str, Tensor]:
    """Find the tensors in what ``torch.load`` gave: the dictionary itself, or one that a trainer wrapped."""
    for key in _WRAPPERS:
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
            break
    named = isinstance(loaded, dict) and all(
        isinstance(k, str) and isinstance(v, Tensor) for k, v in loaded.items()
    )
    if not named or not loaded:
        raise ModelError(f"{source} holds no tensors by name")
    return dict(loaded)
