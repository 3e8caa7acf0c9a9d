"""What more pictures would bring: probe quality against the size of the set, on cached features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from catsdogs.core.predictions import FloatArray, IntArray
from catsdogs.core.temperature import fit_temperature, log_losses
from catsdogs.transfer.probes import fit_logistic

_SHARES = (0.125, 0.25, 0.5, 1.0)
_REPEATS = 3
_HELD_OUT = 0.25
_LEAST = 8


@dataclass(frozen=True, slots=True)
class GrowthPoint:
    """A probe fitted on some of the pictures.

    Attributes:
        pictures: It was fitted on, the mean over repeats.
        accuracy: On held-out pictures, in [0, 1].
        log_loss: On held-out pictures, calibrated.
        spread: Standard deviation of the log loss over the repeats.
    """

    pictures: int
    accuracy: float
    log_loss: float
    spread: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def growth(
    features: npt.NDArray[np.floating],
    labels: IntArray,
    units: Sequence[str],
    *,
    strength: float,
    seed: int,
) -> tuple[GrowthPoint, ...]:
    """Return probe quality on an eighth, a quarter, a half and all of three quarters of the pictures.

    The last quarter is held out; units stay on one side. Sizes too small to hold every class are left out.
    """
    classes = np.unique(labels)
    names = np.unique(np.asarray(units, dtype=object).astype(str), return_inverse=True)[1]
    found: dict[float, list[tuple[int, float, float]]] = {}
    for repeat in range(_REPEATS):
        rank = np.random.default_rng([seed, repeat]).permutation(names.max() + 1)[names]
        order = np.argsort(rank, kind="stable")
        cut = int(len(order) * (1 - _HELD_OUT))
        while 0 < cut < len(order) and rank[order[cut]] == rank[order[cut - 1]]:
            cut += 1
        held_out = order[cut:]
        for share in _SHARES:
            chosen = order[: int(cut * share)]
            if len(chosen) < _LEAST or len(held_out) < _LEAST or set(labels[chosen]) != set(classes):
                continue
            losses, correct = _try(features, labels, chosen, held_out, strength)
            found.setdefault(share, []).append((len(chosen), correct.mean(), losses.mean()))
    return tuple(_point(np.array(rows)) for share, rows in sorted(found.items()) if len(rows) == _REPEATS)


def at_twice(points: Sequence[GrowthPoint]) -> float | None:
    """Return the log loss to expect of twice the pictures, if it falls on at the rate of the last step.

    A power law through the last two sizes (Hestness et al. 2017): L(2n) = L(n)^2 / L(n/2); never more than
    L(n). None where there are not two sizes.
    """
    if len(points) < 2:
        return None
    half, whole = points[-2].log_loss, points[-1].log_loss
    return min(whole, whole**2 / half) if half > 0 else whole


def _try(
    features: npt.NDArray[np.floating],
    labels: IntArray,
    chosen: IntArray,
    held_out: IntArray,
    strength: float,
) -> tuple[FloatArray, FloatArray]:
    with threadpool_limits(1):
        weight, bias = fit_logistic(features[chosen].astype(np.float64), labels[chosen], strength)
    logits = features[held_out] @ weight.T + bias
    truth = labels[held_out]
    calibrated = logits / fit_temperature(logits, truth)
    return log_losses(calibrated, truth), (logits.argmax(axis=1) == truth).astype(np.float64)


def _point(rows: FloatArray) -> GrowthPoint:
    pictures, accuracy, loss = rows.mean(axis=0)
    return GrowthPoint(round(pictures), float(accuracy), float(loss), float(rows[:, 2].std(ddof=1)))
