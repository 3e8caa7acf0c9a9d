"""Stored: a result that lies in a JSON file of its own."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from catsdogs.core.errors import DataError


class Stored(ABC):
    """What every such result has in common.

    Attributes:
        KIND: What it is, for people: ``an evaluation``.
    """

    KIND: ClassVar[str]

    @classmethod
    @abstractmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build it from plain values.

        Raises:
            DataError: A part is missing or has another form.
        """

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read it from its file.

        Raises:
            DataError: The file is missing or is something else.
        """
        try:
            return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))
        except (OSError, ValueError, RecursionError, DataError) as error:
            raise DataError(f"{path} is not {cls.KIND}: {error}") from error
