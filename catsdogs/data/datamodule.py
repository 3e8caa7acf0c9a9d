"""ImageDataModule: records and a preprocessing to the batches that the Trainer asks for."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass
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
from catsdogs.data.samplers import EpochBatchSampler, ShareSampler
from catsdogs.data.stream import read_picture
from catsdogs.data.views import at_least_px


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
        epoch, index = key
        picture = _read(self._pictures.records[index], self._needed)
        pixels = self._augmentation(picture, epoch=epoch, index=index)
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


class ImageDataModule(pl.LightningDataModule):
    """Training and validation batches; the same pictures whatever the number of workers, ranks or resumes.

    Training batches are (pixels uint8 (B, H, W, 3), classes int64 (B,)); validation batches also hold a mask
    bool (B,) of the rows that count. ``batch_size`` is global: ranks share it.
    """

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
    ) -> None:
        super().__init__()
        self._train, self._val, self._spec = train, val, spec
        self._augmentation, self._batch_size = augmentation, batch_size
        self._workers, self._seed = workers, seed

    @property
    def val_pictures(self) -> int:
        """How many pictures validation has."""
        return len(self._val.records)

    def batches_per_epoch(self, ranks: int) -> int:
        """Return the training batches of one epoch, the same for every rank."""
        return len(self._train_sampler(0, ranks))

    def train_dataloader(self) -> DataLoader[Any]:
        """Return the loader of the epoch that is about to begin, also after a resume."""
        assert self.trainer is not None
        sampler = self._train_sampler(self.trainer.global_rank, self.trainer.world_size)
        # Workers fetch ahead before Lightning tells the sampler its epoch, so it must know it now.
        sampler.set_epoch(self.trainer.fit_loop.epoch_progress.current.processed)  # type: ignore[attr-defined]
        dataset = AugmentedPictures(self._train, self._spec, self._augmentation)
        return self._loader(dataset, batch_sampler=sampler)

    def val_dataloader(self) -> DataLoader[Any] | list[Any]:
        """Return the validation loader, or none where there is nothing to validate on."""
        assert self.trainer is not None
        ranks = self.trainer.world_size
        if not self._val.records:
            return []
        sampler = ShareSampler(len(self._val.records), rank=self.trainer.global_rank, ranks=ranks)
        size = max(1, self._batch_size // ranks)
        return self._loader(PreparedPictures(self._val, self._spec), sampler=sampler, batch_size=size)

    def _train_sampler(self, rank: int, ranks: int) -> EpochBatchSampler:
        count = len(self._train.records)
        return EpochBatchSampler(count, batch_size=self._batch_size, seed=self._seed, rank=rank, ranks=ranks)

    def _loader(self, dataset: Dataset[Any], **options: Any) -> DataLoader[Any]:
        return DataLoader(
            dataset,
            num_workers=self._workers,
            worker_init_fn=_calm_worker,
            persistent_workers=self._workers > 0,
            pin_memory=torch.cuda.is_available(),
            # Its own generator: drawing the workers' seed must not advance the one that dropout uses.
            generator=torch.Generator().manual_seed(self._seed),
            **options,
        )


def labelled(records: Sequence[ImageRecord], class_names: Sequence[str], split: str) -> LabelledPictures:
    """Return the pictures of one split with their classes."""
    chosen = tuple(record for record in records if record.split == split)
    position = {name: index for index, name in enumerate(class_names)}
    return LabelledPictures(chosen, tuple(position[record.label or ""] for record in chosen))


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
