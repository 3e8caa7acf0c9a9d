"""Kaggle's ``id,label``: clipped probabilities, and the raw ones beside them."""

from __future__ import annotations

import csv
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from catsdogs.core.errors import ConfigError
from catsdogs.core.files import replacing
from catsdogs.core.predictions import FloatArray, softmax
from catsdogs.inference.writers.cells import text

_UNREADABLE = 0.5


class Submission:
    """Collects the probability of dog; 16 bytes a picture."""

    def __init__(self, class_names: Sequence[str]) -> None:
        """Find the column of dog.

        Raises:
            ConfigError: The model is not one of dogs against another class.
        """
        self._column = _dog(class_names)
        self._numbers, self._probabilities = array("q"), array("d")

    def add(self, ids: Iterable[str], logits: FloatArray, errors: Iterable[int]) -> None:
        """Add some pictures; an unreadable one gets 0.5.

        Raises:
            ConfigError: A name is not a number.
        """
        probabilities = softmax(logits)[:, self._column]
        probabilities[list(errors)] = _UNREADABLE
        self._numbers.extend(map(_kaggle_id, ids))
        self._probabilities.extend(probabilities.tolist())

    def save(self, path: Path, bound: float) -> None:
        """Write probabilities from ``bound`` to ``1 - bound``, in numeric order, and the raw ones beside."""
        raw = np.array(self._probabilities)
        for place, values in ((path, np.clip(raw, bound, 1 - bound)), (raw_path(path), raw)):
            rows = sorted(zip(self._numbers, values.tolist(), strict=True))
            with replacing(place) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
                writer = csv.writer(stream)
                writer.writerow(["id", "label"])
                writer.writerows([number, f"{value:.9g}"] for number, value in rows)


def raw_path(path: Path) -> Path:
    """Return where the unclipped probabilities of a submission go."""
    return path.with_name(f"{path.stem}.raw{path.suffix}")


def submission_numbers(class_names: Sequence[str], ids: Iterable[str]) -> list[int]:
    """Return Kaggle's numbers of these pictures; called before the work, it refuses what cannot be submitted.

    Raises:
        ConfigError: The model is not one of dogs against another class, or a picture's name is not a number
            of its own.
    """
    _dog(class_names)
    numbers = [_kaggle_id(name) for name in ids]
    number, count = Counter(numbers).most_common(1)[0] if numbers else (0, 0)
    if count > 1:
        raise ConfigError(f"a submission needs one picture a number; {number} occurs {count} times")
    return numbers


def _dog(class_names: Sequence[str]) -> int:
    names = [name.casefold() for name in class_names]
    if len(names) != 2 or "dog" not in names:
        raise ConfigError(
            f"a submission needs a model of cat and dog; this one knows {', '.join(class_names)}"
        )
    return names.index("dog")


def _kaggle_id(name: str) -> int:
    stem = PurePosixPath(name).stem
    if not re.fullmatch(r"[0-9]{1,18}", stem):
        raise ConfigError(f"a submission needs pictures named by number, such as 12.jpg, not {text(name)}")
    return int(stem)
