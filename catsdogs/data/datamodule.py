"""Data modules: pictures, or cached features, to the batches that the Trainer asks for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.core.records import ImageRecord
from catsdogs.data.augmentation import Augmentation
from catsdogs.data.datasets import (
    AugmentedPictures,
    CountedRows,
    FeatureRows,
    LabelledPictures,
    PreparedPictures,
)
from catsdogs.data.loading import calm_loader, loading_context
from catsdogs.data.samplers import EpochBatchSampler, ShareSampler


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
            worker_init_fn=calm_loader,
            multiprocessing_context=loading_context() if self.workers else None,
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
        if workers:
            loading_context()  # its server imports while the rest is prepared

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
