"""Predictions to files that people and Kaggle read."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import TextIO

import numpy as np

from catsdogs.core.errors import ConfigError
from catsdogs.core.files import replacing
from catsdogs.core.predictions import UNLABELLED, FloatArray, Predictions, softmax

_UNREADABLE_SUBMISSION = 0.5
_SURROGATE = re.compile("[\ud800-\udfff]")


class PredictionsCsv:
    r"""Rows ``path[,true],label,probability,p_<class>...,status,reason``, one a picture, as they come.

    Numbers have nine significant digits. What a name holds that is no text appears as ``\xff``.
    """

    def __init__(self, stream: TextIO, class_names: Sequence[str], *, with_labels: bool) -> None:
        self._writer = csv.writer(stream)
        self._names, self._with_labels = tuple(map(_utf8, class_names)), with_labels
        true = ["true"] if with_labels else []
        probabilities = [f"p_{name}" for name in self._names]
        self._writer.writerow(["path", *true, "label", "probability", *probabilities, "status", "reason"])

    def write(
        self, ids: Iterable[str], logits: FloatArray, labels: Iterable[int], errors: dict[int, str]
    ) -> None:
        """Add the rows of some pictures: calibrated logits (B, C), classes or ``UNLABELLED``, and errors."""
        for position, (name, scores, label) in enumerate(zip(ids, softmax(logits), labels, strict=True)):
            row = [_utf8(name)]
            if self._with_labels:
                row.append("" if label == UNLABELLED else self._names[label])
            if position in errors:
                row += [""] * (2 + len(self._names)) + ["error", _utf8(errors[position])]
            else:
                best = int(scores.argmax())
                row += [self._names[best], *(f"{p:.9g}" for p in (scores[best], *scores)), "ok", ""]
            self._writer.writerow(row)


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write a whole set of predictions as CSV and, beside it, its logits as npz."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        rows = PredictionsCsv(stream, predictions.class_names, with_labels=predictions.has_labels)
        rows.write(predictions.ids, predictions.logits, predictions.labels.tolist(), dict(predictions.errors))
    predictions.save(path.with_suffix(".npz"))


def write_submission(path: Path, predictions: Predictions) -> None:
    """Write Kaggle's ``id,label``: the probability of dog, in numeric order, 0.5 for an unreadable picture.

    Raises:
        ConfigError: There is no class ``dog``, or a picture's name is not a number of its own.
    """
    numbers = submission_numbers(predictions.class_names, predictions.ids)
    column = [name.casefold() for name in predictions.class_names].index("dog")
    probabilities = np.where(
        predictions.readable, predictions.probabilities[:, column], _UNREADABLE_SUBMISSION
    )
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "label"])
        rows = sorted(zip(numbers, probabilities.tolist(), strict=True))
        writer.writerows([number, f"{probability:.9g}"] for number, probability in rows)


def submission_numbers(class_names: Sequence[str], ids: Iterable[str]) -> list[int]:
    """Return Kaggle's numbers of these pictures; called before the work, it refuses what cannot be submitted.

    Raises:
        ConfigError: The model is not one of dogs against another class, or a picture's name is not a number
            of its own.
    """
    if len(class_names) != 2 or "dog" not in [name.casefold() for name in class_names]:
        raise ConfigError(
            f"a submission needs a model of cat and dog; this one knows {', '.join(class_names)}"
        )
    numbers = [_kaggle_id(name) for name in ids]
    number, count = Counter(numbers).most_common(1)[0] if numbers else (0, 0)
    if count > 1:
        raise ConfigError(f"a submission needs one picture a number; {number} occurs {count} times")
    return numbers


def reasons(predictions: Predictions) -> Counter[str]:
    """Count why pictures could not be read; details in brackets are left out."""
    return Counter(reason.partition(" (")[0] for reason in predictions.errors.values())


def _kaggle_id(name: str) -> int:
    stem = PurePosixPath(name).stem
    if not re.fullmatch(r"[0-9]{1,18}", stem):
        raise ConfigError(f"a submission needs pictures named by number, such as 12.jpg, not {_utf8(name)}")
    return int(stem)


def _utf8(text: str) -> str:
    r"""Write surrogates as ``\xff`` where they stand for a byte of a file name, else as ``\ud800``."""
    return _SURROGATE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
