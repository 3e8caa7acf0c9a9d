"""How well features suit labels, and how a pretrained network itself sees the pictures."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from catsdogs.core.predictions import FloatArray, IntArray, log_softmax

_MOST_ITERATIONS = 50
_USUAL_CLASSES = 10


def log_evidence(features: npt.NDArray[np.floating], labels: IntArray, classes: int) -> float:
    """Return LogME: the log evidence, per picture, of the labels under Bayesian linear regression.

    Larger is better; a dense network of features that explains nothing scores about -0.7 for two balanced
    classes. Features are standardised first, so that stages of different scale compare.

    Args:
        features: (N, D).
        labels: Classes (N,) in [0, classes).
        classes: C; the mean over one-against-the-rest targets is returned.

    Source: You et al. 2021, LogME, algorithm 1; the fixed point of You et al. 2022 (alpha, beta).
    """
    wide = np.asarray(features, dtype=np.float64)
    wide = wide - wide.mean(axis=0)
    deviation = wide.std(axis=0)
    wide = wide / np.where(deviation > 1e-6, deviation, 1.0)
    left, singular, _ = np.linalg.svd(wide, full_matrices=False)
    targets = [(labels == label).astype(np.float64) for label in range(classes)]
    return float(np.mean([_evidence(left, singular**2, target, wide.shape) for target in targets]))


def _evidence(left: FloatArray, energies: FloatArray, target: FloatArray, shape: tuple[int, int]) -> float:
    n, width = shape
    centred = target - target.mean()
    projected = (left.T @ centred) ** 2
    outside = max(float(centred @ centred) - float(projected.sum()), 0.0)
    alpha, beta = 1.0, 1.0
    for _ in range(_MOST_ITERATIONS):
        shrunk = energies * beta / (energies * beta + alpha)
        effective = float(shrunk.sum())
        weights = float((projected * energies * beta**2 / (alpha + beta * energies) ** 2).sum())
        residual = float((projected * (1 - shrunk) ** 2).sum()) + outside
        old = alpha / beta
        alpha, beta = effective / (weights + 1e-12), max(n - effective, 1e-6) / (residual + 1e-12)
        if abs(alpha / beta - old) <= 1e-3 * old:
            break
    empty = max(width - len(energies), 0) * np.log(alpha)
    determinant = float(np.log(alpha + beta * energies).sum()) + empty
    evidence = width * np.log(alpha) + n * np.log(beta) - determinant - n * np.log(2 * np.pi)
    return float((evidence - beta * residual - alpha * weights) / (2 * n))


@dataclass(frozen=True, slots=True)
class OwnView:
    """How the backbone's own pretrained classifier sees the pictures.

    Attributes:
        classes: That it knows, such as 1,000.
        entropy: Mean over pictures of the entropy of its answer, as a share of ln(classes), in [0, 1]: high
            where it does not recognise anything.
        confidence: Mean over pictures of the highest probability.
        mass: Share of all its probability that the ten most used classes hold.
    """

    classes: int
    entropy: float
    confidence: float
    mass: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def own_view(top: npt.NDArray[np.floating], weight: FloatArray, bias: FloatArray) -> OwnView:
    """Return what a classifier (K, D), (K,) makes of features (N, D) of the top stage."""
    scores = log_softmax(np.asarray(top @ weight.T + bias, dtype=np.float64))
    probabilities = np.exp(scores)
    entropy = -(probabilities * scores).sum(axis=1) / np.log(scores.shape[1])
    used = np.sort(probabilities.mean(axis=0))[::-1]
    return OwnView(
        classes=scores.shape[1],
        entropy=float(entropy.mean()),
        confidence=float(probabilities.max(axis=1).mean()),
        mass=float(used[:_USUAL_CLASSES].sum()),
    )
