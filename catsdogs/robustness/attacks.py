"""Adversarial pictures: what the model gets wrong when every pixel may change a little, in the worst way.

The attacks are those of the Adversarial Robustness Toolbox. Of three libraries it is the one that is kept
up (1.20 is of July 2025), takes any loss, and needs nothing that is not here but ``six``. torchattacks 3.5.1
pins ``requests`` to 2.25, which has known holes and breaks other packages, brings a second top-level package,
and has its cross-entropy built in. foolbox 3.3.4 has the neatest code; it was last released in March 2024,
and importing it needs GitPython, and so a ``git`` program, for models that nobody asked for. The one thing
to dislike about the toolbox: importing it makes a folder ``.art`` in one's home, for data that stays away.

The loss is the difference between the best wrong logit and the right one. Cross-entropy has the same
direction for two classes as long as float32 can tell its probability from 1. Of an answer surer than that its
gradient is zero, and a model would look robust for being over-confident (Carlini and Wagner 2017, "Towards
Evaluating the Robustness of Neural Networks", sections 5 and 7). Temperature changes neither sign nor answer.

Strengths are the most that a value of a pixel may change, in steps of 1/255. Attacked pictures are judged
unrounded: below 1 no file of 8 bits could hold them.

Source: Goodfellow et al. 2015, "Explaining and Harnessing Adversarial Examples" (FGSM); Madry et al. 2018,
"Towards Deep Learning Models Resistant to Adversarial Attacks" (PGD). PGD starts at the picture itself, as in
Kurakin et al. 2017, so that nothing is left to chance.
"""

from __future__ import annotations

import contextlib
import logging.config
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from catsdogs.core.errors import ConfigError
from catsdogs.core.predictions import FloatArray
from catsdogs.data.preparation import Pixels
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.folding import folded
from catsdogs.models.modelcard import ModelCard

FGSM, PGD = "fgsm", "pgd"
STRENGTHS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
PGD_STEPS = 10
# All steps together go so many times the budget: its edge can be reached from anywhere (Madry et al.).
_REACH = 2.5
_WHITE = 255.0


@dataclass(frozen=True)
class Attack:
    """One attack.

    Attributes:
        kind: ``fgsm``, one step, or ``pgd``, several.
        strength: Most that a value may change, in 1/255.
        steps: Of PGD.
    """

    kind: str
    strength: float
    steps: int = PGD_STEPS


# Without a budget one step shows as much as ten.
PLAN = tuple(
    Attack(kind, strength, PGD_STEPS if strength else 1) for kind in (FGSM, PGD) for strength in STRENGTHS
)


class PixelLogits(nn.Module):
    """A classifier as attacks want it: pixels float32 (B, 3, H, W) in [0, 1] to logits (B, C).

    The normalisation is inside. A byte divided by 255 comes back as exactly that byte, so a picture that is
    not changed has bit for bit the logits of the classifier itself.
    """

    def __init__(self, classifier: ImageClassifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, pixels: Tensor) -> Tensor:
        """Turn pixels into logits."""
        logits: Tensor = self.classifier(_WHITE * pixels.permute(0, 2, 3, 1))
        return logits


def lost_margin(logits: Tensor, targets: Tensor) -> Tensor:
    """Return by how much the best wrong logit is above the right one, summed over the pictures.

    Args:
        logits: (B, C) of at least two classes.
        targets: (B, C), 1 at the true class and 0 elsewhere.
    """
    right = (logits * targets).sum(dim=1)
    wrong = logits.masked_fill(targets > 0, -torch.inf).amax(dim=1)
    return (wrong - right).sum()


class Attacker:
    """Attacks one model, in float32.

    Args:
        classifier: It is not changed.
        card: Its classes, input size and temperature.

    Raises:
        ConfigError: The library is not installed, or the answer does not follow from the pixels by gradients.
    """

    def __init__(self, classifier: ImageClassifier, card: ModelCard) -> None:
        self._temperature = card.temperature
        on_gpu = torch.cuda.is_available()
        network = folded(classifier).to("cuda" if on_gpu else "cpu")
        network.set_channels_last(True)
        # Gradients are wanted of the pixels alone, which saves a third of the time.
        self._model = PixelLogits(network.requires_grad_(False)).eval()
        spec = card.preprocess
        self._estimator = _estimator(
            self._model, (3, spec.height_px, spec.width_px), len(card.class_names), on_gpu
        )
        self._refuse_without_gradient(spec.height_px, spec.width_px)

    def clean(self, pixels: Pixels) -> FloatArray:
        """Turn pictures uint8 (B, H, W, 3) into calibrated logits (B, C), as the classifier itself does."""
        batch = torch.from_numpy(np.ascontiguousarray(pixels)).to(self._model.classifier.scale.device)
        with torch.inference_mode():
            return self._calibrated(self._model.classifier(batch))

    def logits(self, planes: npt.NDArray[np.float32]) -> FloatArray:
        """Turn planes (B, 3, H, W) in [0, 1] into calibrated logits (B, C)."""
        with torch.inference_mode():
            batch = torch.from_numpy(planes).to(self._model.classifier.scale.device)
            return self._calibrated(self._model(batch))

    def attacked(
        self, pixels: Pixels, labels: npt.NDArray[np.int64], attack: Attack
    ) -> npt.NDArray[np.float32]:
        """Turn pictures uint8 (B, H, W, 3) into attacked ones, planes (B, 3, H, W) in [0, 1]."""
        found: npt.NDArray[np.float32] = _method(self._estimator, attack, len(pixels)).generate(
            to_planes(pixels), labels
        )
        return np.asarray(found, dtype=np.float32)

    def _calibrated(self, logits: Tensor) -> FloatArray:
        return logits.double().cpu().numpy() / self._temperature

    def _refuse_without_gradient(self, height: int, width: int) -> None:
        """Look at one picture: what makes hard decisions inside has no gradient to follow."""
        device = self._model.classifier.scale.device
        noise = torch.rand((1, 3, height, width), generator=torch.Generator().manual_seed(0))
        pixels = noise.to(device).requires_grad_()
        logits = self._model(pixels)
        if logits.requires_grad:
            (gradient,) = torch.autograd.grad(logits[0, 0], pixels, allow_unused=True)
            # The library takes what is not a number for zero, and would attack nothing without a word.
            if gradient is not None and bool(gradient.isfinite().all()):
                return
        raise ConfigError("this model cannot be attacked: its answer has no gradient by the pixels")


def to_planes(pixels: Pixels) -> npt.NDArray[np.float32]:
    """Turn uint8 (B, H, W, 3) into float32 (B, 3, H, W) in [0, 1]."""
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)).astype(np.float32) / np.float32(_WHITE)


def _estimator(model: nn.Module, shape: tuple[int, int, int], classes: int, on_gpu: bool) -> Any:
    try:
        with _logging_left_alone():
            from art.estimators.classification import PyTorchClassifier
    except (ImportError, OSError) as error:  # it writes a folder when it is imported
        raise ConfigError(
            "attacks need the Adversarial Robustness Toolbox: pip install 'catsdogs[robust]', or leave them "
            "out with --kinds corruptions,shifts"
        ) from error
    return PyTorchClassifier(
        model,
        loss=lost_margin,
        input_shape=shape,
        nb_classes=classes,
        clip_values=(0.0, 1.0),
        device_type="gpu" if on_gpu else "cpu",
    )


@contextlib.contextmanager
def _logging_left_alone() -> Iterator[None]:
    """Keep the toolbox from configuring logging when it is imported, which closes every other handler."""
    before = logging.config.dictConfig
    logging.config.dictConfig = lambda _: None  # type: ignore[assignment]
    try:
        yield
    finally:
        logging.config.dictConfig = before


def _method(estimator: Any, attack: Attack, batch: int) -> Any:
    from art.attacks.evasion import FastGradientMethod
    from art.attacks.evasion.projected_gradient_descent.projected_gradient_descent_pytorch import (
        ProjectedGradientDescentPyTorch,
    )

    most = attack.strength / _WHITE
    if attack.kind == FGSM:
        return FastGradientMethod(estimator, eps=most, batch_size=batch)
    # A step of length zero is refused; within a budget of zero its length does not matter.
    step = _REACH * most / attack.steps or 1 / _WHITE
    return ProjectedGradientDescentPyTorch(
        estimator, eps=most, eps_step=step, max_iter=attack.steps, batch_size=batch, verbose=False
    )
