"""Predictions: what a model said about pictures, apart from the model that said it.

Metrics, ensembles and pages are made from this value alone, with no model and no GPU. Logits are kept in
float64 so that nothing is lost between a saved file and a figure; where several views were merged they are
the logarithm of the merged probabilities, whose softmax gives those probabilities back.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from catsdogs.core.errors import DataError
from catsdogs.core.files import replacing
from catsdogs.core.viewanswers import ViewAnswers

UNLABELLED = -1
# What no small file unpacks to unless it is made to; larger ones are packed to a two-hundredth at most.
_ALWAYS_BYTES, _MOST_TIMES = 256 * 2**20, 200
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def softmax(logits: npt.NDArray[np.floating]) -> FloatArray:
    """Return probabilities, float64 in [0, 1], along the last axis; rows of NaN stay NaN."""
    wide = np.asarray(logits, dtype=np.float64)
    shifted = np.exp(wide - wide.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


def log_softmax(logits: npt.NDArray[np.floating]) -> FloatArray:
    """Return the logarithm of ``softmax``, float64 from 0 down, exact where a probability rounds to 0."""
    wide = np.asarray(logits, dtype=np.float64)
    shifted = wide - wide.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


@dataclass(frozen=True)
class Predictions:
    """What a model said about N pictures of C classes.

    Attributes:
        ids: One name a picture, length N, as the user knows it.
        class_names: Length C, in the order of the columns of ``logits``.
        logits: Float64 (N, C), calibrated (the temperature is already in them); NaN where there is an error.
        labels: Int64 (N,), the true class or ``UNLABELLED``.
        errors: Position of a picture -> why it could not be read.
        views: What each view said, where that was kept.
        unfamiliar: Float64 (N,) in [0, 1), NaN where there is an error, where the model can tell: the share
            of familiar pictures that lie nearer to those in training.
    """

    ids: tuple[str, ...]
    class_names: tuple[str, ...]
    logits: FloatArray
    labels: IntArray
    errors: Mapping[int, str] = field(default_factory=dict)
    views: ViewAnswers | None = None
    unfamiliar: FloatArray | None = None

    def __post_init__(self) -> None:
        """Check that the parts fit together.

        Raises:
            DataError: Lengths or shapes differ, or a label or the position of an error is out of range.
        """
        n, classes = len(self.ids), len(self.class_names)
        if self.logits.shape != (n, classes) or self.labels.shape != (n,):
            raise DataError(
                f"predictions of {n} pictures and {classes} classes have logits {self.logits.shape} "
                f"and labels {self.labels.shape}"
            )
        if n and not (self.labels.min() >= UNLABELLED and self.labels.max() < classes):
            raise DataError("a label is outside the classes")
        if self.errors and not (min(self.errors) >= 0 and max(self.errors) < n):
            raise DataError("an error belongs to no picture")
        if self.views is not None and self.views.plain.shape != self.logits.shape:
            raise DataError(f"the views answer for {self.views.plain.shape}, not {self.logits.shape}")
        if self.unfamiliar is not None and self.unfamiliar.shape != (n,):
            raise DataError(f"{self.unfamiliar.shape} pictures are said to be unfamiliar or not, of {n}")

    def __len__(self) -> int:
        """Return the number of pictures, unreadable ones included."""
        return len(self.ids)

    @property
    def probabilities(self) -> FloatArray:
        """Float64 (N, C) in [0, 1], rows summing to 1; NaN where there is an error."""
        return softmax(self.logits)

    @property
    def readable(self) -> npt.NDArray[np.bool_]:
        """Bool (N,): the picture could be read."""
        mask = np.ones(len(self), dtype=np.bool_)
        mask[list(self.errors)] = False
        return mask

    @property
    def predicted(self) -> IntArray:
        """Int64 (N,): the most probable class, or ``UNLABELLED`` where there is an error."""
        best = np.full(len(self), UNLABELLED, dtype=np.int64)
        best[self.readable] = self.logits[self.readable].argmax(axis=1)
        return best

    @property
    def has_labels(self) -> bool:
        """Whether any picture carries a true label."""
        return bool((self.labels != UNLABELLED).any())

    def with_labels(self, labels: Sequence[int]) -> Predictions:
        """Return the same predictions with these true classes, ``UNLABELLED`` where there is none."""
        return replace(self, labels=np.asarray(labels, dtype=np.int64))

    def select(self, positions: Sequence[int] | npt.NDArray[np.integer | np.bool_]) -> Predictions:
        """Return the predictions at these positions, in this order, or where a mask (N,) is true."""
        order = np.arange(len(self))[list(positions)].tolist()
        return Predictions(
            ids=tuple(self.ids[i] for i in order),
            class_names=self.class_names,
            logits=self.logits[order].reshape(len(order), len(self.class_names)),
            labels=self.labels[order],
            errors={new: self.errors[old] for new, old in enumerate(order) if old in self.errors},
            views=None if self.views is None else self.views.select(order),
            unfamiliar=None if self.unfamiliar is None else self.unfamiliar[order],
        )

    def scorable(self) -> Predictions:
        """Return the pictures that could be read and carry a label: what an evaluation is about."""
        return self.select(np.flatnonzero(self.readable & (self.labels != UNLABELLED)))

    def save(self, path: str | Path) -> None:
        """Write an ``.npz`` of plain arrays, whole or not at all."""
        positions = sorted(self.errors)
        more: dict[str, Any] = {} if self.unfamiliar is None else {"unfamiliar": self.unfamiliar}
        if self.views is not None:
            more |= {
                "view_names": _text(self.views.names),
                "view_logits": self.views.logits,
                "plain_logits": self.views.plain,
            }
        with replacing(path) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(
                stream,
                ids=_text(self.ids),
                class_names=_text(self.class_names),
                logits=self.logits,
                labels=self.labels,
                error_positions=np.asarray(positions, dtype=np.int64),
                error_reasons=_text([self.errors[position] for position in positions]),
                **more,
            )

    @classmethod
    def load(cls, path: str | Path) -> Predictions:
        """Read a file of ``save``; nothing in it can run.

        Raises:
            DataError: The file is missing, damaged or something else.
        """
        try:
            # Opened here because np.load leaves a damaged file open.
            with Path(path).open("rb") as stream:
                _refuse_bomb(stream)
                arrays = np.load(stream, allow_pickle=False)
                positions = arrays["error_positions"].tolist()
                return cls(
                    ids=_strings(arrays["ids"]),
                    class_names=_strings(arrays["class_names"]),
                    logits=_wide(arrays["logits"]),
                    labels=np.asarray(arrays["labels"], dtype=np.int64),
                    errors=dict(zip(positions, _strings(arrays["error_reasons"]), strict=True)),
                    views=_views(arrays) if "view_names" in arrays else None,
                    unfamiliar=_wide(arrays["unfamiliar"]) if "unfamiliar" in arrays else None,
                )
        except Exception as error:  # numpy, zipfile, zlib and json raise a dozen kinds for a damaged file
            raise DataError(f"{path} is not a file of predictions: {error}") from error


def _refuse_bomb(stream: IO[bytes]) -> None:
    """Refuse a small file that unpacks to much, before anything is allocated."""
    with zipfile.ZipFile(stream) as packed:
        unpacked = sum(member.file_size for member in packed.infolist())
    size = stream.seek(0, 2)
    if unpacked > max(_ALWAYS_BYTES, _MOST_TIMES * size):
        raise DataError(f"{size:,} bytes would unpack to {unpacked:,}")
    stream.seek(0)


def _views(arrays: Mapping[str, npt.NDArray[Any]]) -> ViewAnswers:
    logits, plain = (_wide(arrays[name]) for name in ("view_logits", "plain_logits"))
    return ViewAnswers(_strings(arrays["view_names"]), logits, plain)


def _wide(values: npt.NDArray[Any]) -> FloatArray:
    return np.asarray(values, dtype=np.float64)


def _text(values: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Pack strings as ASCII JSON, which holds whatever a file name or a reason may: any byte, also zero."""
    return np.frombuffer(json.dumps(list(values)).encode("ascii"), dtype=np.uint8)


def _strings(packed: npt.NDArray[np.uint8]) -> tuple[str, ...]:
    """Undo ``_text``."""
    return tuple(str(value) for value in json.loads(packed.tobytes()))
