"""CurveShape: what the eye sees in a learning curve, as numbers that one odd epoch cannot change.

Every difference of losses is a share of the loss at the start, so a shape means the same for cross-entropy
and for squared errors, whatever their unit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from catsdogs.evaluation.learningcurves import LearningCurve

# The end is the last quarter of the epochs, but at least three: fewer are moved by one odd epoch.
_END_SHARE, _END_EPOCHS = 0.25, 3
# Noise is looked for behind the first third, where losses fall too steeply to tell it from their course.
_SETTLED_SHARE = 1 / 3
# A first epoch of a wild start must not make all later differences small: at most so many times the loss
# around the first quarter.
_WILD_START = 4.0
# Where accuracies say that losses are those of a classifier, they are measured against at least the loss of
# guessing between two classes: a head from a probe starts near zero, and there hundredths are nothing.
_GUESSING = math.log(2)


@dataclass(frozen=True)
class CurveShape:
    """Robust measures of a curve; losses are shares of ``scale`` unless said otherwise.

    Attributes:
        epochs: How many have both losses.
        scale: Loss at the start, in the file's unit; of a classifier at least that of guessing.
        train_level: Training loss at the end.
        val_level: Validation loss at the end.
        learnt: Fall of the training loss from the start to the end.
        val_learnt: Fall of the validation loss from the start to its lowest.
        gap: Validation minus training loss at the end.
        gap_at_best: The same around the lowest validation loss.
        below: Median of training minus validation loss over the second half.
        rise: Validation loss at the end minus the lowest it was.
        train_after_best: Fall of the training loss from the best epoch to the end.
        falling: Fall of the training loss over the last quarter, by a straight line.
        val_falling: The same of the validation loss.
        noise: Standard deviation of the validation loss around its course.
        train_noise: The same of the training loss.
        best: Position of the best epoch, from 0.
        train_accuracy: At the end; NaN without accuracies.
        val_accuracy: At the end; NaN without accuracies.
    """

    epochs: int
    scale: float
    train_level: float
    val_level: float
    learnt: float
    val_learnt: float
    gap: float
    gap_at_best: float
    below: float
    rise: float
    train_after_best: float
    falling: float
    val_falling: float
    noise: float
    train_noise: float
    best: int
    train_accuracy: float
    val_accuracy: float


def shape_of(curve: LearningCurve) -> CurveShape:
    """Measure the epochs that have both losses; there must be at least three.

    Raises:
        ValueError: There are fewer.
    """
    chosen = judged(curve)
    if len(chosen) < _END_EPOCHS:
        raise ValueError("a curve of fewer than three epochs has no shape")
    train, val = np.array(curve.train_loss)[chosen], np.array(curve.val_loss)[chosen]
    known = np.isfinite([*curve.train_accuracy, *curve.val_accuracy]).any()
    scale = max(_scale(train, val), _GUESSING if known else 0.0)
    train, val = train / scale, val / scale
    smooth_train, smooth_val = smoothed(train), smoothed(val)
    end = max(_END_EPOCHS, round(_END_SHARE * len(train)))
    best = int(smooth_val.argmin())
    train_level, val_level = float(smooth_train[-1]), float(smooth_val[-1])
    rise = val_level - float(smooth_val[best])
    half = len(train) // 2
    return CurveShape(
        epochs=len(train),
        scale=scale,
        train_level=train_level,
        val_level=val_level,
        learnt=float(max(train[0], smooth_train[0])) - train_level,
        val_learnt=float(max(val[0], smooth_val[0]) - smooth_val[best]),
        gap=val_level - train_level,
        gap_at_best=float(smooth_val[best] - smooth_train[best]),
        below=float(np.median(train[half:] - val[half:])),
        rise=rise,
        train_after_best=float(smooth_train[best] - train_level),
        falling=_fall(train, end),
        val_falling=_fall(val, end),
        noise=_noise(val),
        train_noise=_noise(train),
        best=best,
        train_accuracy=_at_end(np.array(curve.train_accuracy)[chosen], end),
        val_accuracy=_at_end(np.array(curve.val_accuracy)[chosen], end),
    )


def judged(curve: LearningCurve) -> list[int]:
    """Return the positions of the epochs that have both losses."""
    pairs = zip(curve.train_loss, curve.val_loss, strict=True)
    return [i for i, pair in enumerate(pairs) if all(map(math.isfinite, pair))]


def smoothed(values: np.ndarray) -> np.ndarray:
    """Return the course: medians of three, then means of as many as long curves can bear.

    Args:
        values: Of shape (N,).

    Returns:
        Of shape (N,).
    """
    width = 1 + 2 * (len(values) // 16)
    return _windows(np.median(_windows_of(values, 3), axis=1), width)


def _windows(values: np.ndarray, width: int) -> np.ndarray:
    return np.asarray(_windows_of(values, width).mean(axis=1))


def _windows_of(values: np.ndarray, width: int) -> np.ndarray:
    """Return the neighbours of each value, (N, width); the curve is mirrored at its ends."""
    padded = np.pad(values, width // 2, mode="reflect", reflect_type="odd")
    return np.lib.stride_tricks.sliding_window_view(padded, width)


def _scale(train: np.ndarray, val: np.ndarray) -> float:
    """Return the loss at the start above zero, or above the lowest loss where losses may be negative."""
    floor = min(0.0, float(train.min()), float(val.min()))
    start = max(train[0], val[0]) - floor
    quarter = max(2, len(train) // 4)
    around = float(max(np.median(train[:quarter]), np.median(val[:quarter]))) - floor
    return max(float(min(start, _WILD_START * around)), 1e-12)


def _fall(values: np.ndarray, end: int) -> float:
    """Return how far a straight line through the last values falls in a quarter of all epochs."""
    return float(-np.polyfit(np.arange(end), values[-end:], 1)[0] * _END_SHARE * len(values))


def _noise(values: np.ndarray) -> float:
    """Return the standard deviation of an epoch around its neighbours.

    The second difference of noise has six times its variance, and that of a smooth course is near zero.
    """
    settled = values[int(_SETTLED_SHARE * len(values)) :]
    if len(settled) < _END_EPOCHS:
        return 0.0
    squares = np.sort(np.diff(settled, 2) ** 2)
    # One odd epoch is in three differences.
    return float(np.sqrt(squares[: len(squares) - min(3, len(squares) // 4)].mean() / 6))


def _at_end(values: np.ndarray, end: int) -> float:
    known = values[-end:][np.isfinite(values[-end:])]
    return float(np.median(known)) if len(known) else math.nan
