"""Running a classifier on batches of pictures: where, in which precision, in which memory format.

Every batch is padded to the same size. A kernel may be chosen by the shape of its input, so a picture's
score would otherwise depend, in its last digits, on how many others happened to be read beside it.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from catsdogs.core.errors import ConfigError
from catsdogs.core.ordered import ordered_map
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.folding import folded
from catsdogs.models.rounding import coloured_noise

PRECISIONS = ("fp32", "bf16")
# Batches that are computed at once on a processor; each holds its activations in memory.
_MOST_LANES = 4
# Noise pictures that are looked at together.
_AT_ONCE = 8
_BatchNorm = nn.modules.batchnorm._NormBase


@dataclass(frozen=True, slots=True)
class Execution:
    """How a classifier is run.

    Attributes:
        device: ``cpu``, ``cuda`` or ``mps``.
        precision: ``fp32``, or ``bf16`` for the backbone; the head, and the statistics of a batch
            normalisation that could not be folded into a convolution, stay in float32.
        channels_last: Whether pictures lie in memory pixel by pixel instead of plane by plane.
        batch_size: Pictures per call; smaller batches are padded to it.
        compiled: Whether the network is compiled (``torch.compile``): half a minute before the first batch.
    """

    device: str = "cpu"
    precision: str = "fp32"
    channels_last: bool = True
    batch_size: int = 8
    compiled: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot run.

        Raises:
            ConfigError: The precision is unknown or the batch is empty.
        """
        if self.precision not in PRECISIONS:
            raise ConfigError(f"precision {self.precision!r} is not one of auto, {', '.join(PRECISIONS)}")
        if self.batch_size < 1:
            raise ConfigError(f"a batch of {self.batch_size} pictures is too small")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def best_device() -> str:
    """Return the device that ``auto`` means here: ``cuda``, else ``mps``, else ``cpu``."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


class Runner:
    """A copy of a classifier, folded, placed and in evaluation mode, that turns pixels into numbers.

    The classifier it was made from is not changed. It is the engine ``torch``, or ``compile``, of
    ``inference.engines``, and beside logits it gives features.
    """

    def __init__(self, classifier: ImageClassifier, execution: Execution) -> None:
        self.execution = execution
        self._classifier = folded(classifier).to(execution.device)
        self._classifier.set_channels_last(execution.channels_last)
        if execution.precision == "bf16":
            to_bf16(self._classifier)
        self._forward = torch.compile(self._classifier) if execution.compiled else self._classifier

    @property
    def name(self) -> str:
        """``torch`` or ``compile``."""
        return "compile" if self.execution.compiled else "torch"

    @property
    def device(self) -> str:
        """Torch's name of where it computes."""
        return self.execution.device

    @property
    def precision(self) -> str:
        """``fp32`` or ``bf16``."""
        return self.execution.precision

    @property
    def batch_size(self) -> int:
        """How many pictures are computed at once."""
        return self.execution.batch_size

    def for_size(self, height_px: int, width_px: int) -> Runner:
        """Return the same network for pictures of another size.

        On a processor it takes fewer of larger ones at once, so that what a layer leaves to the next one
        still lies in the cache.
        """
        height, width = self._classifier.input_size
        share = height * width / (height_px * width_px) if self.execution.device == "cpu" else 1.0
        batch_size = max(1, min(self.batch_size, round(share * self.batch_size)))
        other = copy.copy(self)
        other.execution = replace(self.execution, batch_size=batch_size)
        return other

    def stream(
        self, batches: Iterable[npt.NDArray[np.uint8]], *, features: bool = False
    ) -> Iterator[npt.NDArray[np.float32]]:
        """Turn batches uint8 (N, H, W, 3) into logits float32 (N, C), one after the other.

        With ``features`` the rows go on with what the head was given: (N, C + D).
        """
        return self._side_by_side(self._logits_and_features if features else self._forward, batches)

    def feature_stream(self, batches: Iterable[npt.NDArray[np.uint8]]) -> Iterator[npt.NDArray[np.float32]]:
        """Turn batches uint8 (N, H, W, 3) into features float32 (N, D), one after the other."""
        return self._side_by_side(self._classifier.features, batches)

    @property
    def classifier(self) -> ImageClassifier:
        """The copy that runs."""
        return self._classifier

    def features(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Turn pixels (N, H, W, 3) into features float32 (N, D)."""
        return self._run(self._classifier.features, pixels)

    def logits(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Turn pixels (N, H, W, 3) into logits float32 (N, C), without temperature."""
        return self._run(self._forward, pixels)

    def _side_by_side(
        self, function: Any, batches: Iterable[npt.NDArray[np.uint8]]
    ) -> Iterator[npt.NDArray[np.float32]]:
        """Compute several batches at once, each on its share of the cores.

        Threads that work on one batch wait for the slowest of them after every layer, and where others decode
        one of them is always slow: apart they waste nothing. Batches are asked for one ahead of those.
        """
        threads = torch.get_num_threads()
        lanes = min(threads, _MOST_LANES)
        if lanes == 1 or self.execution.device != "cpu" or self.execution.compiled:
            yield from (self._run(function, pixels) for pixels in batches)
            return
        share = -(-threads // lanes)
        work = partial(self._run, function)
        begin = partial(torch.set_num_threads, share)
        try:
            with contextlib.closing(
                ordered_map(work, batches, workers=lanes, window=lanes + 1, begin=begin)
            ) as answers:
                yield from answers
        finally:
            torch.set_num_threads(threads)  # threads of later work begin with what was set last

    def _logits_and_features(self, pixels: torch.Tensor) -> torch.Tensor:
        features = self._classifier.features(pixels)
        return torch.cat([self._forward(features).float(), features], dim=1)

    def _run(self, function: Any, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        size = self.execution.batch_size
        chunks = [self._one_batch(function, pixels[i : i + size]) for i in range(0, len(pixels), size)]
        return np.concatenate(chunks)

    @torch.inference_mode()
    def _one_batch(self, function: Any, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        padding = self.execution.batch_size - len(pixels)
        if padding:
            pixels = np.concatenate([pixels, np.zeros((padding, *pixels.shape[1:]), dtype=np.uint8)])
        batch = torch.from_numpy(np.ascontiguousarray(pixels)).to(self.execution.device)
        rows: npt.NDArray[np.float32] = function(batch).float().cpu().numpy()
        return rows[: len(rows) - padding]


def to_bf16(classifier: ImageClassifier) -> None:
    """Put the backbone and the pictures in bfloat16; the statistics of batch normalisation keep their digits.

    Other normalisations have none, and their CUDA kernels want weights of their input's type. What rounding
    the weights does to all pictures alike is measured on noise and taken away.
    """
    noise = torch.from_numpy(coloured_noise(*classifier.input_size)).to(classifier.scale.device)
    exact = _mean_features(classifier, noise)
    classifier.backbone.to(torch.bfloat16)
    for module in classifier.backbone.modules():
        if isinstance(module, _BatchNorm):
            module.float()
    classifier.input_dtype = torch.bfloat16
    classifier.feature_shift = _mean_features(classifier, noise) - exact


@torch.no_grad()
def _mean_features(classifier: ImageClassifier, pixels: torch.Tensor) -> torch.Tensor:
    pieces = torch.split(pixels, _AT_ONCE)
    return torch.cat([classifier.features(some) for some in pieces]).mean(0)
