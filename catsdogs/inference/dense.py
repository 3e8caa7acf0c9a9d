"""Dense inference: the classifier as a fully convolutional network over a picture larger than its input.

The layers before the average run once over the whole picture and leave a map of features; the head, being
linear, may be applied at every position of it. That is a map of scores. Its mean is what the classifier
itself says about the larger picture, and its mean over a window as large as the map of the network's own
input is, without padding, exactly what the classifier says about that part of the picture.

Source: Sermanet et al. 2014, OverFeat, section 3.3; Long et al. 2015, Fully Convolutional Networks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from catsdogs.core.errors import ConfigError
from catsdogs.core.predictions import FloatArray
from catsdogs.data.preparation import Pixels
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.modelcard import TOP, ModelCard
from catsdogs.models.stages import pool

# As a share of the largest feature; bf16 keeps three digits.
_SAME, _SAME_BF16 = 1e-3, 5e-2


@dataclass(frozen=True)
class DenseScores:
    """What a classifier says about every part of one picture.

    Attributes:
        local: Float64 (h, w, C): calibrated logits at each position of the map, whose mean is ``pooled``.
        windows: Float64 (h', w', C): their means over windows of the size of the network's own input.
        pooled: Float64 (C,): calibrated logits of the picture.
    """

    local: FloatArray
    windows: FloatArray
    pooled: FloatArray


def require_dense(classifier: ImageClassifier, card: ModelCard, side_px: int) -> None:
    """Check that a classifier may be run over larger pictures; what it does is looked at, not its name.

    Raises:
        ConfigError: It may not; the message says why.
    """
    reason = _obstacle(classifier, card, side_px)
    if reason:
        raise ConfigError(f"{card.backbone} has no dense views: {reason}")


def _obstacle(classifier: ImageClassifier, card: ModelCard, side_px: int) -> str:
    if card.members:
        return "an ensemble's votes are not the mean of scores of one map"
    if card.head.kind != "linear":
        return (
            f"its head ({card.head.kind}) is not linear, so the mean of scores is not the score of the mean"
        )
    if card.stages != (TOP,):
        return f"its head sits on stage {' and '.join(card.stages)}; only one on the top sees a single map"
    if not hasattr(classifier.backbone, "forward_features"):
        return "it does not tell its map of features"
    try:
        maps, features = _both(classifier, card.preprocess.height_px, card.preprocess.width_px)
    except (TypeError, RuntimeError, AssertionError, ValueError):
        return "it does not tell its map of features"
    if maps.ndim != 4 or maps.shape[1] != features.shape[1]:
        return "its features do not come from a map of positions"
    same = _SAME if classifier.input_dtype is None else _SAME_BF16
    if not float((pool(maps) - features).abs().max()) <= same * float(features.abs().max()):
        return "its features are not the plain average of a map of positions"
    try:
        _both(classifier, side_px, side_px)
    except (TypeError, RuntimeError, AssertionError, ValueError):
        return f"it works at {card.preprocess.width_px}x{card.preprocess.height_px} px only"
    return ""


@torch.inference_mode()
def _both(classifier: ImageClassifier, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return the map (1, D, h, w) of a picture of noise and its features (1, D)."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (1, height, width, 3), dtype=torch.uint8, generator=generator)
    pixels = noise.to(classifier.scale.device)
    return _feature_map(classifier, pixels), classifier.features(pixels)


def _feature_map(classifier: ImageClassifier, pixels: Tensor) -> Tensor:
    maps = classifier.backbone.forward_features(classifier.normalize(pixels))  # type: ignore[operator]
    if not isinstance(maps, Tensor):
        raise TypeError("not a map")
    # Some networks keep their channels last.
    last = getattr(classifier.backbone, "output_fmt", "NCHW") == "NHWC"
    return maps.permute(0, 3, 1, 2) if last and maps.ndim == 4 else maps


@torch.inference_mode()
def score_map(classifier: ImageClassifier, pixels: npt.NDArray[np.uint8]) -> Tensor:
    """Return the raw logits (C, h, w) at every position of the map of one picture (H, W, 3), on the CPU.

    The classifier must have passed ``require_dense``.
    """
    batch = torch.from_numpy(np.array(pixels))[None].to(classifier.scale.device)
    maps = _feature_map(classifier, batch).float()
    last = classifier.head.get_submodule("fc")
    assert isinstance(last, nn.Linear)
    scores: Tensor = F.conv2d(maps, last.weight.float()[:, :, None, None], last.bias.float())
    return scores[0].cpu()


def dense_scores(classifier: ImageClassifier, card: ModelCard, pixels: Pixels) -> DenseScores:
    """Run a classifier over one picture at least as large as its input.

    Args:
        classifier: One that has passed ``require_dense``.
        card: Its input size and temperature.
        pixels: uint8 (H, W, 3), resized as the picture is to be looked at.
    """
    scores = score_map(classifier, pixels) / card.temperature
    own = np.zeros((card.preprocess.height_px, card.preprocess.width_px, 3), dtype=np.uint8)
    cells = score_map(classifier, own).shape[1:]
    window = (min(cells[0], scores.shape[1]), min(cells[1], scores.shape[2]))
    means = F.avg_pool2d(scores[None], window, stride=1)[0]
    return DenseScores(
        local=_rows(scores), windows=_rows(means), pooled=scores.mean((1, 2)).numpy().astype(np.float64)
    )


def _rows(scores: Tensor) -> FloatArray:
    return scores.permute(1, 2, 0).numpy().astype(np.float64)
