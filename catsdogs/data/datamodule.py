"""Data modules: pictures, or cached features, to the batches that the Trainer asks for."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from catsdogs.core.errors import DataError, PictureError
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.core.records import ImageRecord
from catsdogs.data.augmentation import Augmentation
from catsdogs.data.preparation import prepare
from catsdogs.data.rendering import at_least_px
from catsdogs.data.samplers import EpochBatchSampler, ShareSampler
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


class EpochDataModule(pl.LightningDataModule):
    """Training and validation batches; the same examples whatever the number of workers, ranks or resumes.

    Training batches are (inputs (B, ...), classes int64 (B,)); validation batches also hold a mask bool (B,)
    of the rows that count. ``batch_size`` is global: ranks share it.

    Args:
        train: Takes (epoch, index).
        val: Takes positions of ``ShareSampler``.
        labels: Classes of the training examples.
        val_count: Validation examples.
        batch_size: Examples per step over all ranks.
        workers: Processes that make examples.
        seed: Of the order.
        balanced: Whether an epoch has as many examples of every class, instead of each once.

    Attributes:
        train_labels: Classes of the training examples.
        balanced: As it was given.
        workers: As given.
    """

    def __init__(
        self,
        train: Dataset[Any],
        val: Dataset[Any],
        *,
        labels: Sequence[int],
        val_count: int,
        batch_size: int,
        workers: int,
        seed: int,
        balanced: bool = False,
    ) -> None:
        super().__init__()
        self._train, self._val = train, val
        self.train_labels, self.balanced = labels, balanced
        self._val_count = val_count
        self._batch_size, self.workers, self._seed = batch_size, workers, seed

    @property
    def val_pictures(self) -> int:
        """How many pictures validation has."""
        return self._val_count

    def batches_per_epoch(self, ranks: int) -> int:
        """Return the training batches of one epoch, the same for every rank."""
        return len(self._train_sampler(0, ranks))

    def batch_names(self, epoch: int, batch: int) -> list[str]:
        """Return what the examples of a training batch are called, those of all ranks together."""
        ranks = self.trainer.world_size if self.trainer else 1
        names = []
        for rank in range(ranks):
            sampler = self._train_sampler(rank, ranks)
            sampler.set_epoch(epoch)
            names += [
                self.name_of(index % len(self.train_labels))
                for _, index in next(islice(sampler, batch, None), ())
            ]
        return names

    def name_of(self, index: int) -> str:
        """Return what people call a training example."""
        return f"row {index}"

    def first_examples(self, count: int) -> tuple[Tensor, Tensor]:
        """Return the first training examples of epoch 0, as the network will get them.

        They are made in this process: no loader, no random state and no order is touched.
        """
        order = (key for keys in self._train_sampler(0, 1) for key in keys)
        return _stacked([self._train[key] for key in islice(order, count)])

    def some_validation(self, count: int) -> tuple[Tensor, Tensor]:
        """Return validation examples from all over the split; none where there are none."""
        step = max(1, self._val_count // count)
        positions = range(0, self._val_count, step)[:count]
        return _stacked([self._val[position][:2] for position in positions])

    def train_dataloader(self) -> DataLoader[Any]:
        """Return the loader of the epoch that is about to begin, also after a resume."""
        assert self.trainer is not None
        sampler = self._train_sampler(self.trainer.global_rank, self.trainer.world_size)
        # Workers fetch ahead before Lightning tells the sampler its epoch, so it must know it now.
        sampler.set_epoch(self.trainer.fit_loop.epoch_progress.current.processed)  # type: ignore[attr-defined]
        return self._loader(self._train, batch_sampler=sampler)

    def val_dataloader(self) -> DataLoader[Any] | list[Any]:
        """Return the validation loader, or none where there is nothing to validate on."""
        assert self.trainer is not None
        ranks = self.trainer.world_size
        if not self._val_count:
            return []
        sampler = ShareSampler(self._val_count, rank=self.trainer.global_rank, ranks=ranks)
        size = max(1, self._batch_size // ranks)
        return self._loader(self._val, sampler=sampler, batch_size=size)

    def _train_sampler(self, rank: int, ranks: int) -> EpochBatchSampler:
        return EpochBatchSampler(
            len(self.train_labels),
            batch_size=self._batch_size,
            seed=self._seed,
            rank=rank,
            ranks=ranks,
            balance=self.train_labels if self.balanced else None,
        )

    def _loader(self, dataset: Dataset[Any], **options: Any) -> DataLoader[Any]:
        return DataLoader(
            dataset,
            num_workers=self.workers,
            worker_init_fn=_calm_worker,
            persistent_workers=self.workers > 0,
            pin_memory=torch.cuda.is_available(),
            # Its own generator: drawing the workers' seed must not advance the one that dropout uses.
            generator=torch.Generator().manual_seed(self._seed),
            **options,
        )


class ImageDataModule(EpochDataModule):
    """Pictures: augmented uint8 (B, H, W, 3) for training, prepared ones for validation."""

    def __init__(
        self,
        train: LabelledPictures,
        val: LabelledPictures,
        *,
        spec: PreprocessSpec,
        augmentation: Augmentation,
        batch_size: int,
        workers: int,
        seed: int,
        balanced: bool = False,
    ) -> None:
        super().__init__(
            AugmentedPictures(train, spec, augmentation),
            PreparedPictures(val, spec),
            labels=train.labels,
            val_count=len(val.records),
            batch_size=batch_size,
            workers=workers,
            seed=seed,
            balanced=balanced,
        )
        self._records = train.records

    def name_of(self, index: int) -> str:
        """Return the record's id."""
        return self._records[index].id


class FeatureDataModule(EpochDataModule):
    """Cached features float32 (B, D): an epoch of a head alone costs milliseconds."""

    def __init__(
        self,
        train: tuple[Tensor, Sequence[int]],
        val: tuple[Tensor, Sequence[int]],
        *,
        batch_size: int,
        seed: int,
        balanced: bool = False,
    ) -> None:
        super().__init__(
            FeatureRows(*train),
            CountedRows(*val),
            labels=train[1],
            val_count=len(val[1]),
            batch_size=batch_size,
            workers=0,
            seed=seed,
            balanced=balanced,
        )


def labelled(records: Sequence[ImageRecord], class_names: Sequence[str], split: str) -> LabelledPictures:
    """Return the pictures of one split with their classes."""
    chosen = tuple(record for record in records if record.split == split)
    position = {name: index for index, name in enumerate(class_names)}
    return LabelledPictures(chosen, tuple(position[record.label or ""] for record in chosen))


def _stacked(examples: Sequence[tuple[Tensor, int]]) -> tuple[Tensor, Tensor]:
    if not examples:
        return torch.empty(0), torch.empty(0, dtype=torch.long)
    inputs, labels = zip(*examples, strict=True)
    return torch.stack(inputs), torch.tensor(labels)


def _read(record: ImageRecord, needed: tuple[int, int]) -> Any:
    try:
        return read_picture(record, at_least_px=needed)
    except PictureError as error:
        raise DataError(
            f"{record.id} could be read when the run was prepared and cannot now: {error}"
        ) from error


def _calm_worker(_: int) -> None:
    """Leave signals to the parent: it ends its workers, and they need not say so."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
