"""Datasets: what the processes that make examples hold; no Lightning, which takes seconds to import."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from catsdogs.core.errors import DataError, PictureError
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.core.records import ImageRecord
from catsdogs.data.augmentation import Augmentation
from catsdogs.data.preparation import prepare
from catsdogs.data.rendering import at_least_px
from catsdogs.data.stream import read_picture


@dataclass(frozen=True)
class LabelledPictures:
    """Records of one split and their classes, of the same length."""

    records: tuple[ImageRecord, ...]
    labels: tuple[int, ...]


class AugmentedPictures(Dataset[tuple[Tensor, int]]):
    """(epoch, index) -> augmented pixels uint8 (H, W, 3) and class."""

    def __init__(self, pictures: LabelledPictures, spec: PreprocessSpec, augmentation: Augmentation) -> None:
        self._pictures, self._augmentation = pictures, augmentation
        self._needed = at_least_px(spec)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, int]:
        """Decode and augment one picture for one epoch."""
        epoch, drawn = key
        index = drawn % len(self._pictures.records)
        picture = _read(self._pictures.records[index], self._needed)
        pixels = self._augmentation(picture, epoch=epoch, index=drawn)
        return torch.from_numpy(pixels.copy()), self._pictures.labels[index]


class PreparedPictures(Dataset[tuple[Tensor, int, bool]]):
    """Position -> evaluation pixels uint8 (H, W, 3), class, and whether it counts (see ``ShareSampler``)."""

    def __init__(self, pictures: LabelledPictures, spec: PreprocessSpec) -> None:
        self._pictures, self._spec = pictures, spec

    def __getitem__(self, position: int) -> tuple[Tensor, int, bool]:
        """Decode and prepare one picture."""
        counts = position >= 0
        index = position if counts else -1 - position
        pixels = prepare(_read(self._pictures.records[index], at_least_px(self._spec)), self._spec)
        return torch.from_numpy(pixels), self._pictures.labels[index], counts


class FeatureRows(Dataset[tuple[Tensor, int]]):
    """(epoch, index) -> feature row float32 (D,) and class: what a head alone learns from."""

    def __init__(self, rows: Tensor, labels: Sequence[int]) -> None:
        self._rows, self._labels = rows, labels

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, int]:
        """Return the same row in every epoch."""
        index = key[1] % len(self._labels)
        return self._rows[index], self._labels[index]


class CountedRows(Dataset[tuple[Tensor, int, bool]]):
    """Position -> feature row float32 (D,), class, and whether it counts (see ``ShareSampler``)."""

    def __init__(self, rows: Tensor, labels: Sequence[int]) -> None:
        self._rows, self._labels = rows, labels

    def __getitem__(self, position: int) -> tuple[Tensor, int, bool]:
        """Return one row."""
        counts = position >= 0
        index = position if counts else -1 - position
        return self._rows[index], self._labels[index], counts


def _read(record: ImageRecord, needed: tuple[int, int]) -> Any:
    try:
        return read_picture(record, at_least_px=needed)
    except PictureError as error:
        raise DataError(
            f"{record.id} could be read when the run was prepared and cannot now: {error}"
        ) from error
