"""Distillation: a trained network answers every training picture too, and its answers are learned."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.models.backbones import feature_width
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.stages import map_places
from catsdogs.training.recipe import Distillation


class Teacher(nn.Module):
    """A trained classifier that sees the very pixels that the learning one sees, crops, mixtures and all.

    The loss is ``(1 - weight) * labels + weight * t**2 * KL(teacher || student) + features * distance of the
    features + maps * mean distance of the feature maps``; both answers are softened by the temperature t. A
    distance is the mean squared error with which a linear map of the student's features (at each position,
    where they are maps) gives the teacher's, each of these scaled to mean 0 and variance 1 within the batch:
    it is 1 for a map that knows nothing.

    Only the linear maps are a part of this module: the teacher is in no checkpoint, no optimizer and no model
    file.

    Source: Hinton et al. 2015, Distilling the Knowledge in a Neural Network; Romero et al. 2015, FitNets;
    Beyer et al. 2022, Knowledge distillation: A good teacher is patient and consistent.

    Args:
        classifier: What learns.
        teacher: Of the same classes in the same order; it is put in evaluation mode and never changed.
        spec: How large the teacher wants its pictures.
        settings: Weights and temperature.
        calibration: The temperature that makes the teacher's probabilities honest.
        seed: Of the first weights of the linear maps.
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
        self._features: Tensor | None = None
        self._own_maps: dict[str, Tensor] = {}
        self._their_maps: dict[str, Tensor] = {}
        own, theirs = map_places(classifier.backbone), map_places(teacher.backbone)
        strides = sorted(own.keys() & theirs.keys()) if settings.maps else []
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            width, wanted = feature_width(classifier.backbone), feature_width(teacher.backbone)
            self.of_features = nn.Linear(width, wanted) if settings.features else None
            self.of_maps = nn.ModuleDict(
                {str(stride): nn.Conv2d(own[stride][1], theirs[stride][1], 1) for stride in strides}
            )
        if settings.features:
            _listen_before(classifier.head, self._keep_features)
        for stride in strides:
            _listen_to(classifier.backbone, own[stride][0], partial(self._keep_own, str(stride)))
            _listen_to(teacher.backbone, theirs[stride][0], partial(self._keep_theirs, str(stride)))

    def _keep_features(self, features: Tensor) -> None:
        if self.training and torch.is_grad_enabled():
            self._features = features

    def _keep_own(self, stride: str, maps: Tensor) -> None:
        if self.training and torch.is_grad_enabled():
            self._own_maps[stride] = maps

    def _keep_theirs(self, stride: str, maps: Tensor) -> None:
        self._their_maps[stride] = maps

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
        # Nothing of a step may stay behind: who copies the classifier between two steps would copy its graph.
        own, self._features = self._features, None
        if self.of_features is not None:
            assert own is not None
            total = total + settings.features * _distance(self.of_features(own), features)
        if self.of_maps:
            distances = [
                _distance(linear(self._own_maps.pop(stride)), self._their_maps.pop(stride))
                for stride, linear in self.of_maps.items()
            ]
            total = total + settings.maps * torch.stack(distances).mean()
        return total


def _distance(given: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean squared error () of features (B, D) or maps (B, D, H, W) against scaled wanted ones."""
    if wanted.numel() == wanted.shape[1]:  # one number a feature has no variance
        return given.sum() * 0.0
    if given.shape[2:] != wanted.shape[2:]:
        given = F.interpolate(given, wanted.shape[2:], mode="bilinear")
    return F.mse_loss(given.float(), F.batch_norm(wanted.float(), None, None, training=True))


def _listen_before(listened: nn.Module, keep: Callable[[Tensor], None]) -> None:
    """Keep what this very module is given: a copy of it carries the hook along, and is not listened to."""

    def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if module is listened:
            keep(inputs[0])

    listened.register_forward_pre_hook(hook)


def _listen_to(backbone: nn.Module, place: str, keep: Callable[[Tensor], None]) -> None:
    """Keep what this very module makes, as ``_listen_before`` does."""
    listened = backbone.get_submodule(place)

    def hook(module: nn.Module, _: object, maps: Tensor) -> None:
        if module is listened:
            keep(maps)

    listened.register_forward_hook(hook)


def resized(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """Return uint8 (B, H, W, 3) as another network wants it: uint8 (B, *size, 3)."""
    if tuple(pixels.shape[1:3]) == size:
        return pixels
    planes = F.interpolate(pixels.permute(0, 3, 1, 2).float(), size, mode="bilinear", antialias=True)
    return planes.round().clamp_(0, 255).to(pixels.dtype).permute(0, 2, 3, 1)
