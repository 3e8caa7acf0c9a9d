"""Random views: what training would have made of a picture, drawn from its content and nothing else."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from PIL import Image

from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.data.augmentation import Augmentation
from catsdogs.data.preparation import Pixels
from catsdogs.data.presets import PRESETS, AugmentationSpec

# Augmentation draws from torch's own generator, which all threads of a process share.
_DRAWING = threading.Lock()


class RandomViews:
    """Draws views: the same ones for the same pixels, whatever the picture's name, place and neighbours.

    The first views of many are the views of few. What training mixes (mixup, CutMix) is about pairs of
    pictures and is left out.

    Args:
        spec: How the network wants its pictures.
        training: What training did to pictures, as ``AugmentationSpec.to_dict`` says it. Where it did nothing
            the preset ``light`` is taken.

    Raises:
        DataError: ``training`` is damaged.
    """

    def __init__(self, spec: PreprocessSpec, training: Mapping[str, Any] | None) -> None:
        changes = PRESETS["none"] if training is None else AugmentationSpec.from_dict(training)
        changes = replace(changes, mixup=0.0, cutmix=0.0, mixing_off_epochs=0)
        if changes == PRESETS["none"]:
            changes = PRESETS["light"]
        self._augmentation = Augmentation(spec, changes, seed=0)

    def __call__(self, picture: Image.Image, number: int) -> Pixels:
        """Return view ``number``, from 1, of an RGB picture: uint8 (H, W, 3)."""
        digest = hashlib.blake2b(picture.tobytes(), digest_size=8).digest()
        with _DRAWING:
            return self._augmentation(picture, epoch=number, index=int.from_bytes(digest, "little"))
