"""catsdogs: transfer learning on pictures.

``catsdogs.load("runs/NAME").predict("folder")`` applies a trained model; everything else is done by the
commands (``catsdogs --help``). Importing the package loads nothing heavy and prints nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from catsdogs.workflows.loaded import load as load

__all__ = ["__version__", "load"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "load":
        from catsdogs.workflows.loaded import load

        return load
    raise AttributeError(f"module 'catsdogs' has no attribute {name!r}")
