"""The model that the package carries: a small classifier of cats and dogs, and a backbone to build on."""

from __future__ import annotations

from pathlib import Path

EMBEDDED = "embedded"
# What it has learned from, as ``data.seen`` writes it.
SEEN = "seen.npz"


def embedded_folder() -> Path:
    """Return the model folder inside the package."""
    return Path(__file__).with_name("embedded_model")


def is_embedded(path: str | Path) -> bool:
    """Say whether a path given for a model means the embedded one; a folder of that name comes first."""
    return str(path) == EMBEDDED and not Path(path).exists()
