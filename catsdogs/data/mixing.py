"""mixup and CutMix: whole batches mixed with themselves, drawn from (seed, epoch, step, rank)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms import v2

from catsdogs.data.presets import AugmentationSpec
from catsdogs.data.seeding import drawing_from

# Keeps these numbers apart from those that augment picture number `step`.
_MIXING = 1


class Mixing:
    """Blends every example of a batch with the one before it, and their labels in the same proportion.

    Pictures are mixed as pixels and rounded to uint8: normalisation is affine and the weights add up to 1, so
    mixing after it would differ by that rounding only, and the network's input stays what it always is.

    Args:
        changes: Alphas of mixup and CutMix, at least one of them positive; with both, a coin decides.
        classes: C.
        seed: Of the run.
        until_epoch: The first epoch without mixing; None for never.

    Source: Zhang et al. 2018, mixup; Yun et al. 2019, CutMix; as torchvision v2 has them.
    """

    def __init__(
        self, changes: AugmentationSpec, *, classes: int, seed: int, until_epoch: int | None = None
    ) -> None:
        self._classes, self._seed, self._until_epoch = classes, seed, until_epoch
        self._mixers: list[Any] = []
        if changes.mixup:
            self._mixers.append(v2.MixUp(alpha=float(changes.mixup)))
        if changes.cutmix:
            self._mixers.append(v2.CutMix(alpha=float(changes.cutmix)))

    def is_on(self, epoch: int) -> bool:
        """Say whether batches of this epoch are mixed."""
        return self._until_epoch is None or epoch < self._until_epoch

    def __call__(
        self, inputs: Tensor, labels: Tensor, *, epoch: int, step: int, rank: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Mix one batch.

        Args:
            inputs: Pixels uint8 (B, H, W, 3), or features float (B, D), for which there is no CutMix.
            labels: Classes int64 (B,).
            epoch: From 0.
            step: Number of the batch in its epoch.
            rank: Of the process.

        Returns:
            Inputs like those given, and float32 (B, C): each class's share, adding up to 1.
        """
        shares = F.one_hot(labels, self._classes).float()
        with drawing_from(self._seed, epoch, step, rank, _MIXING):
            mixer = self._mixers[int(torch.randint(len(self._mixers), ()))]
            planes, shares = mixer(_planes(inputs), shares)
        return _like(inputs, planes), shares


def _planes(inputs: Tensor) -> Tensor:
    """Return what torchvision mixes: float (B, C, H, W)."""
    return inputs[:, :, None, None] if inputs.ndim == 2 else inputs.permute(0, 3, 1, 2).float()


def _like(inputs: Tensor, planes: Tensor) -> Tensor:
    """Undo ``_planes``."""
    if inputs.ndim == 2:
        return planes[:, :, 0, 0]
    return planes.round_().to(inputs.dtype).permute(0, 2, 3, 1)
