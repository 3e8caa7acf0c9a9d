"""Support vector machines on frozen features, with calibrated logits, that become a head.

An RBF SVM can win where a linear classifier cannot separate the classes, at the price of its support
vectors. Classes are fitted one against the rest. Their decision values become logits through a small linear
map, fitted on out-of-fold values with a prior, so that it is sound from 20 pictures on; with three or more
classes it is a matrix, and lets a class that lies between two others be told by both (docs/LOG.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from threadpoolctl import threadpool_limits
from torch import nn

from catsdogs.core.predictions import FloatArray, IntArray, log_softmax
from catsdogs.core.temperature import log_losses
from catsdogs.models.headspec import HeadSpec
from catsdogs.models.kernelhead import REACH, KernelLayer
from catsdogs.transfer.probes import Fold, LinearProbe, folds, scales, some_of_each

Kernel = Literal["rbf", "linear"]

# Gamma times the number of features. The smoother kernel comes first: it wins on few pictures.
_SHARPNESS = {"rbf": (0.3, 1.0), "linear": (1.0,)}
_STRENGTHS = {"rbf": (1.0, 10**0.5, 10.0), "linear": (0.3, 1.0, 3.0)}
_REACH = {"rbf": REACH, "linear": math.inf}
# Nats, over all pictures, that a sharper kernel must save.
_WORTH = 1.0
# Standard deviations of the calibration's priors: ln of the slope, offsets, mixing of the classes.
_SLOPE_SPREAD, _OFFSET_SPREAD, _MIXING_SPREAD = 1.0, 1.0, 0.5
# The largest |ln slope|, and the smallest decision values that are taken for more than rounding.
_STEEPEST, _SMALLEST = 3.0, 1e-3


@dataclass(frozen=True)
class KernelProbe:
    """A fitted RBF SVM with calibrated logits, and what cross-validation said about it.

    Attributes:
        mean: Float64 (D,), of the features.
        scale: Float64 (D,), see ``probes.scales``.
        support: Support vectors (S, D), scaled and cut off at ``REACH``.
        gamma: Of the kernel exp(-gamma ||x - s||²).
        coefficients: Weight of each support vector in each calibrated logit (C, S).
        bias: Of the calibrated logits (C,).
        strength: C of the SVM; larger is less regularised.
        held_out_logits: Calibrated out-of-fold logits (M, C) of the M pictures that cross-validation used.
        held_out_labels: Their classes (M,).
        temperature: 1: the logits are calibrated already.
    """

    mean: FloatArray
    scale: FloatArray
    support: FloatArray
    gamma: float
    coefficients: FloatArray
    bias: FloatArray
    strength: float
    held_out_logits: FloatArray
    held_out_labels: IntArray
    temperature: ClassVar[float] = 1.0

    def logits(self, features: npt.NDArray[np.floating]) -> FloatArray:
        """Turn features (N, D) into calibrated logits float64 (N, C)."""
        scaled = _Scaling(self.mean, self.scale, REACH).apply(features)
        gram = _gram(_affinity(scaled, self.support, "rbf"), self.gamma * len(self.mean), "rbf")
        return np.asarray(gram @ self.coefficients.T + self.bias)

    def head_spec(self, *, dropout: float) -> HeadSpec:
        """Return the kind of head that this becomes."""
        return HeadSpec("rbf", dropout=dropout, vectors=len(self.support))

    def load_into(self, head: nn.Sequential, *, calibrated: bool) -> None:  # noqa: ARG002 - it is, always
        """Put the probe into its head; the logits are calibrated whatever ``calibrated`` says."""
        layer = head.fc
        assert isinstance(layer, KernelLayer)
        for name, buffer in layer.named_buffers():
            buffer.copy_(torch.as_tensor(getattr(self, name)))


def fit_kernel_probe(
    features: npt.NDArray[np.floating],
    labels: IntArray,
    *,
    classes: int,
    units: Sequence[str],
    seed: int,
    kernel: Kernel = "rbf",
) -> KernelProbe | LinearProbe:
    """Fit an SVM; choose C and gamma by stratified, unit-aware cross-validation of the calibrated log loss.

    Of more than 5,000 pictures a stratified sample is used. Where there are too few for folds, C and gamma
    are defaults and the calibration is its prior.

    Args:
        features: (N, D).
        labels: Classes (N,) in [0, classes); each class occurs.
        classes: C.
        units: Length N; pictures of one unit (a patient, a set of duplicates) never face each other
            across a fold.
        seed: Of the folds and of the sample.
        kernel: ``rbf``, or ``linear``, whose SVM is a LinearProbe with calibrated logits and temperature 1.
    """
    chosen = some_of_each(labels, seed)
    wide, truth = np.asarray(features[chosen], dtype=np.float64), labels[chosen]
    parts = [
        (np.searchsorted(chosen, train), np.searchsorted(chosen, test))
        for train, test in folds(labels, units, seed)
    ]
    # One thread: the products are small, and threads that wait for each other cost more than they bring.
    with threadpool_limits(1):
        choice = _choose(_cross_validate(wide, truth, classes, parts, kernel), truth)
        setting = choice.setting if choice else _Setting(_SHARPNESS[kernel][0], _STRENGTHS[kernel][1])
        scaling = _Scaling.of(wide, kernel)
        points = scaling.apply(wide)
        gram = _gram(_affinity(points, points, kernel), setting.sharpness, kernel)
        machine = _fit(gram, truth, classes, setting.strength)
        calibration = choice.calibration if choice else _uncalibrated(machine.decide(gram))
    machine = machine.calibrated(calibration)
    held_out = choice.logits if choice else np.empty((0, classes))
    heard = truth[: len(held_out)]
    gamma = setting.sharpness / wide.shape[1]
    if kernel == "linear":
        weight = gamma * machine.coefficients @ points / scaling.scale
        bias = machine.bias - weight @ scaling.mean
        return LinearProbe(weight, bias, setting.strength, 1.0, held_out, heard)
    kept = np.any(machine.coefficients != 0, axis=0)
    return KernelProbe(
        mean=scaling.mean,
        scale=scaling.scale,
        support=points[kept],
        gamma=gamma,
        coefficients=machine.coefficients[:, kept],
        bias=machine.bias,
        strength=setting.strength,
        held_out_logits=held_out,
        held_out_labels=heard,
    )


class _Setting(NamedTuple):
    sharpness: float
    strength: float


class _Scaling(NamedTuple):
    """How features are centred, scaled and cut off."""

    mean: FloatArray
    scale: FloatArray
    reach: float

    @classmethod
    def of(cls, features: FloatArray, kernel: Kernel) -> _Scaling:
        # The head computes in float32: were the mean not such a number, features far from 0 would be shifted.
        mean = features.mean(axis=0).astype(np.float32).astype(np.float64)
        return cls(mean, scales(features), _REACH[kernel])

    def apply(self, features: npt.NDArray[np.floating]) -> FloatArray:
        scaled = (features - self.mean) / self.scale
        return np.clip(scaled, -self.reach, self.reach, out=scaled)


class _Calibration(NamedTuple):
    """Turns decision values (M, C) into logits: ``values @ matrix + offset``."""

    matrix: FloatArray
    offset: FloatArray


class _Machine(NamedTuple):
    """Decision values of C classes, from the kernel with N points: coefficients (C, N) and bias (C,)."""

    coefficients: FloatArray
    bias: FloatArray

    def decide(self, gram: FloatArray) -> FloatArray:
        """Turn the kernel between M pictures and the N points (M, N) into values (M, C)."""
        return np.asarray(gram @ self.coefficients.T + self.bias)

    def calibrated(self, by: _Calibration) -> _Machine:
        """Return the machine whose decision values are logits."""
        return _Machine(by.matrix.T @ self.coefficients, self.bias @ by.matrix + by.offset)


class _Choice(NamedTuple):
    setting: _Setting
    calibration: _Calibration
    logits: FloatArray
    loss: float


def _affinity(some: FloatArray, others: FloatArray, kernel: Kernel) -> FloatArray:
    """Return the scalar products of scaled features, or minus their squared distances; over D."""
    products = some @ others.T
    if kernel == "rbf":
        squares = np.square(some).sum(axis=1)[:, None] + np.square(others).sum(axis=1)
        products = 2 * products - squares
    return np.asarray(products / some.shape[1])


def _gram(affinity: FloatArray, sharpness: float, kernel: Kernel) -> FloatArray:
    scaled = sharpness * affinity
    return np.exp(scaled, out=scaled) if kernel == "rbf" else scaled


def _fit(gram: FloatArray, labels: IntArray, classes: int, strength: float) -> _Machine:
    """Fit each class against the rest, or two classes once, and centre the values over the classes."""
    from sklearn.svm import SVC

    coefficients, bias = np.zeros((classes, len(labels))), np.zeros(classes)
    for label in range(classes) if classes > 2 else [1]:
        # Balanced: a rare class would otherwise be outvoted everywhere. Calibration puts its rarity back.
        model = SVC(C=strength, kernel="precomputed", class_weight="balanced").fit(gram, labels == label)
        coefficients[label, model.support_] = model.dual_coef_[0]
        bias[label] = model.intercept_[0]
    return _Machine(coefficients - coefficients.mean(axis=0), bias - bias.mean())


def _cross_validate(
    features: FloatArray, labels: IntArray, classes: int, parts: Sequence[Fold], kernel: Kernel
) -> dict[_Setting, FloatArray]:
    """Return the out-of-fold decision values (N, C) of each setting; nothing without folds."""
    held_out: dict[_Setting, FloatArray] = {}
    for train, test in parts:
        scaling = _Scaling.of(features[train], kernel)
        points = scaling.apply(features[train])
        near = _affinity(points, points, kernel)
        far = _affinity(scaling.apply(features[test]), points, kernel)
        for sharpness in _SHARPNESS[kernel]:
            gram, asked = _gram(near, sharpness, kernel), _gram(far, sharpness, kernel)
            for strength in _STRENGTHS[kernel]:
                values = held_out.setdefault(_Setting(sharpness, strength), np.zeros((len(labels), classes)))
                values[test] = _fit(gram, labels[train], classes, strength).decide(asked)
    return held_out


def _choose(held_out: dict[_Setting, FloatArray], labels: IntArray) -> _Choice | None:
    """Return the strength of the lowest calibrated loss, of a sharper kernel only where that is worth it."""
    best: _Choice | None = None
    for sharpness in sorted({setting.sharpness for setting in held_out}):
        tried = [
            _calibrated(setting, values, labels)
            for setting, values in held_out.items()
            if setting.sharpness == sharpness
        ]
        candidate = min(tried, key=lambda choice: choice.loss)
        if best is None or candidate.loss < best.loss - _WORTH:
            best = candidate
    return best


def _calibrated(setting: _Setting, values: FloatArray, labels: IntArray) -> _Choice:
    calibration = _calibrate(values, labels)
    logits = values @ calibration.matrix + calibration.offset
    return _Choice(setting, calibration, logits, float(log_losses(logits, labels).sum()))


def _uncalibrated(values: FloatArray) -> _Calibration:
    """Return the calibration before any evidence: logits of root mean square 1."""
    size = max(float(np.sqrt(np.square(values).mean())), _SMALLEST)
    classes = values.shape[1]
    return _Calibration(np.eye(classes) / size, np.zeros(classes))


def _calibrate(values: FloatArray, labels: IntArray) -> _Calibration:
    """Fit logits ``exp(a) v (I + M) + b`` to out-of-fold decision values (N, C) of root mean square 1.

    What is minimised is the sum of the log losses plus half the squares of a, b and M over their spreads,
    normal priors around doing nothing. The spread of M falls with the number of classes, so that what M
    adds to a logit does not grow with it.

    Source: Guo et al. 2017, On Calibration of Modern Neural Networks, section 4.2 (matrix scaling); the
    priors are ours.
    """
    # scipy's optimisers take 0.3 s to import.
    from scipy.optimize import minimize

    start = _uncalibrated(values)
    classes = len(start.offset)
    unit, truth, same = values @ start.matrix, np.eye(classes)[labels], np.eye(classes)
    spreads = np.repeat(
        [_SLOPE_SPREAD, _OFFSET_SPREAD, _MIXING_SPREAD / math.sqrt(classes)], [1, classes, classes**2]
    )

    def penalised(numbers: FloatArray) -> tuple[float, FloatArray]:
        slope, offset = math.exp(numbers[0]), numbers[1 : classes + 1]
        mixed = unit @ (same + numbers[classes + 1 :].reshape(classes, classes))
        logs = log_softmax(slope * mixed + offset)
        error = np.exp(logs) - truth
        parts = [[slope * (error * mixed).sum()], error.sum(axis=0), slope * (unit.T @ error).ravel()]
        loss = -(truth * logs).sum() + np.square(numbers / spreads).sum() / 2
        return float(loss), np.concatenate(parts) + numbers / spreads**2

    bounds = [(-_STEEPEST, _STEEPEST)] + [(None, None)] * (len(spreads) - 1)
    best = minimize(penalised, np.zeros(len(spreads)), jac=True, method="L-BFGS-B", bounds=bounds).x
    matrix = math.exp(best[0]) * start.matrix @ (same + best[classes + 1 :].reshape(classes, classes))
    return _Calibration(matrix, best[1 : classes + 1])
