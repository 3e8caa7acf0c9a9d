"""Distillation: a trained network answers every training picture too, and its answers are learned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.models.backbones import feature_width
from catsdogs.models.classifier import ImageClassifier
from catsdogs.training.recipe import Distillation


class Teacher(nn.Module):
    """A trained classifier that sees the very pixels that the learning one sees, crops, mixtures and all.

    The loss is ``(1 - weight) * labels + weight * t**2 * KL(teacher || student) + features * distance``, both
    softened by the temperature t. ``distance`` is the mean squared error with which a linear map of the
    student's features gives the teacher's, each of these scaled to mean 0 and variance 1 within the batch:
    it is 1 for a map that knows nothing.

    Only the map is a part of this module: the teacher is in no checkpoint, no optimizer and no model file.

    Source: Hinton et al. 2015, Distilling the Knowledge in a Neural Network; Romero et al. 2015, FitNets;
    Beyer et al. 2022, Knowledge distillation: A good teacher is patient and consistent.

    Args:
        classifier: What learns.
        teacher: Of the same classes in the same order; it is put in evaluation mode and never changed.
        spec: How large the teacher wants its pictures.
        settings: Weights and temperature.
        calibration: The temperature that makes the teacher's probabilities honest.
        seed: Of the map's first weights.
    """

    def __init__(
        self,
        classifier: ImageClassifier,
        teacher: ImageClassifier,
        spec: PreprocessSpec,
        settings: Distillation,
        *,
        calibration: float = 1.0,
        seed: int,
    ) -> None:
        super().__init__()
        self._settings, self._calibration = settings, calibration
        self._size = (spec.height_px, spec.width_px)
        # In a list: a module that is not registered is neither trained nor saved.
        self._teacher = [teacher.eval().requires_grad_(False)]
        teacher.set_channels_last(True)
        self.map: nn.Linear | None = None
        self._features: Tensor | None = None
        if settings.features:
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                self.map = nn.Linear(feature_width(classifier.backbone), feature_width(teacher.backbone))
            classifier.head.register_forward_pre_hook(self._listen)

    def _listen(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if self.training and torch.is_grad_enabled():
            self._features = inputs[0]

    def _apply(self, function: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        """Take the teacher along to another device."""
        self._teacher[0]._apply(function)  # type: ignore[no-untyped-call]
        return super()._apply(function, recurse)  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the teacher's features float32 (B, D) and calibrated logits float32 (B, C).

        Args:
            pixels: uint8 (B, H, W, 3), of the student's size.
        """
        teacher = self._teacher[0]
        features = teacher.features(resized(pixels, self._size)).float()
        logits: Tensor = teacher.head(features).float()
        return features, logits / self._calibration

    def loss(self, pixels: Tensor, logits: Tensor, of_labels: Tensor) -> Tensor:
        """Return what is minimised () for the batch that has just gone through the student.

        Args:
            pixels: What it saw, uint8 (B, H, W, 3).
            logits: What it answered (B, C).
            of_labels: The loss of these answers against the labels ().
        """
        settings = self._settings
        features, answers = self(pixels)
        soft = settings.temperature
        divergence = F.kl_div(
            F.log_softmax(logits.float() / soft, dim=1),
            F.log_softmax(answers / soft, dim=1),
            log_target=True,
            reduction="batchmean",
        )
        total = (1 - settings.weight) * of_labels + settings.weight * soft**2 * divergence
        return total if self.map is None else total + settings.features * self._distance(features)

    def _distance(self, wanted: Tensor) -> Tensor:
        assert self.map is not None
        assert self._features is not None
        # Nothing of a step may stay behind: who copies the classifier between two steps would copy its graph.
        features, self._features = self._features, None
        if len(wanted) < 2:  # one picture has no variance
            return features.sum() * 0.0
        scaled = F.batch_norm(wanted, None, None, training=True)
        return F.mse_loss(self.map(features).float(), scaled)


def resized(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """Return uint8 (B, H, W, 3) as another network wants it: uint8 (B, *size, 3)."""
    if tuple(pixels.shape[1:3]) == size:
        return pixels
    planes = F.interpolate(pixels.permute(0, 3, 1, 2).float(), size, mode="bilinear", antialias=True)
    return planes.round().clamp_(0, 255).to(pixels.dtype).permute(0, 2, 3, 1)
