"""Plain nested values, as JSON, YAML and command lines have them, to dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any, TypeVar, get_type_hints

T = TypeVar("T")


def nested(kind: type[T], values: Mapping[str, Any]) -> T:
    """Build a dataclass, and the dataclasses inside it, from plain values.

    Raises:
        TypeError: A value is missing or unknown.
    """
    hints = get_type_hints(kind)
    parts = {
        name: nested(hints[name], value) if is_dataclass(hints.get(name)) else value
        for name, value in values.items()
    }
    return kind(**parts)
