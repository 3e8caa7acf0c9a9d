"""Probes: a linear classifier on frozen features, fitted in seconds, that becomes a head.

Logistic regression on features of comparable scale. Its strength C is chosen by cross-validation inside the
training pictures, by the log loss *after* the temperature that the model will carry anyway: judged before
it, weaker regularisation wins and both accuracy and log loss on unseen photos are worse (docs/LOG.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from threadpoolctl import threadpool_limits
from torch import nn

from catsdogs.core.predictions import FloatArray, IntArray
from catsdogs.core.temperature import fit_temperature, log_loss
from catsdogs.models.headspec import HeadSpec

STRENGTHS = tuple(float(c) for c in 10.0 ** np.arange(-4, 0.6, 0.5))
_FOLDS = 5
_DEFAULT_STRENGTH = 0.01
_CV_PICTURES = 5_000
_PATIENCE = 2
# The scale of a feature is judged as if so many pictures more had shown the usual one (docs/LOG.md).
_PRIOR_PICTURES = 1000
# Times the median variance: what a few huge features may weigh in the usual variance.
_LARGEST_VARIANCE = 10.0
# Standard deviations up to this are no variation.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class LinearProbe:
    """A fitted linear classifier and what cross-validation said about it.

    Attributes:
        weight: Float64 (C, D), on raw features: mean and scale are folded in.
        bias: Float64 (C,).
        strength: The C of the logistic regression; larger is less regularised.
        temperature: Fitted on out-of-fold logits; 1 where there were too few pictures for folds.
        held_out_logits: Out-of-fold logits (M, C) of the M pictures that cross-validation used.
        held_out_labels: Their classes (M,).
    """

    weight: FloatArray
    bias: FloatArray
    strength: float
    temperature: float
    held_out_logits: FloatArray
    held_out_labels: IntArray

    def logits(self, features: npt.NDArray[np.floating]) -> FloatArray:
        """Turn features (N, D) into logits float64 (N, C), without temperature."""
        return np.asarray(features @ self.weight.T + self.bias, dtype=np.float64)

    def head_spec(self, *, dropout: float) -> HeadSpec:
        """Return the kind of head that this becomes."""
        return HeadSpec("linear", dropout=dropout)

    def load_into(self, head: nn.Sequential, *, calibrated: bool) -> None:
        """Put the probe into its head, the logits divided by the temperature when ``calibrated``."""
        layer = head.fc
        assert isinstance(layer, nn.Linear)
        divisor = self.temperature if calibrated else 1.0
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(self.weight / divisor))
            layer.bias.copy_(torch.from_numpy(self.bias / divisor))


def fit_linear_probe(
    features: npt.NDArray[np.floating],
    labels: IntArray,
    *,
    classes: int,
    units: Sequence[str],
    seed: int,
) -> LinearProbe:
    """Fit a linear probe and choose its strength by stratified, unit-aware cross-validation.

    Args:
        features: (N, D).
        labels: Classes (N,) in [0, classes); each class occurs.
        classes: C.
        units: Length N; pictures of one unit (a patient, a set of duplicates) never face each other
            across a fold.
        seed: Of the folds.
    """
    wide = np.asarray(features, dtype=np.float64)
    parts = folds(labels, units, seed)
    strength, held_out = _DEFAULT_STRENGTH, np.empty((0, classes))
    used = np.empty(0, dtype=np.int64)
    if parts:
        used = np.unique(np.concatenate([test for _, test in parts]))
        strength, held_out = _choose(wide, labels, classes, parts, used)
    weight, bias = fit_logistic(wide, labels, strength)
    temperature = fit_temperature(held_out, labels[used])
    return LinearProbe(weight, bias, strength, temperature, held_out, labels[used])


Fold = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]


def folds(labels: IntArray, units: Sequence[str], seed: int) -> list[Fold]:
    """Return (train, test) positions; none where some class has fewer than two units."""
    from sklearn.model_selection import StratifiedGroupKFold

    codes = np.unique(np.asarray(units, dtype=object).astype(str), return_inverse=True)[1]
    everything, chosen = np.unique(labels), some_of_each(labels, seed)
    per_class = [len(np.unique(codes[chosen][labels[chosen] == label])) for label in everything]
    count = min(_FOLDS, *per_class)
    if count < 2:
        return []
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    parts = splitter.split(chosen, labels[chosen], codes[chosen])
    folds = [(chosen[train], chosen[test]) for train, test in parts]
    return folds if all(set(labels[train]) == set(everything) for train, _ in folds) else []


def some_of_each(labels: IntArray, seed: int) -> npt.NDArray[np.int64]:
    """Return ascending positions: all, or of very many the same share of each class, rare ones kept."""
    share = min(1.0, _CV_PICTURES / len(labels))
    lots = np.random.default_rng(seed).permutation(len(labels))
    kept = []
    for label in np.unique(labels):
        members = lots[labels[lots] == label]
        kept.append(members[: max(_FOLDS, round(share * len(members)))])
    return np.sort(np.concatenate(kept))


def _choose(
    features: FloatArray,
    labels: IntArray,
    classes: int,
    folds: list[Fold],
    used: npt.NDArray[np.int64],
) -> tuple[float, FloatArray]:
    """Walk the strengths upwards until the calibrated log loss has risen for a while; return the best."""
    best = (np.inf, _DEFAULT_STRENGTH, np.empty((0, classes)))
    worse = 0
    # One thread: the products are small, and threads that wait for each other cost more than they bring.
    with threadpool_limits(1):
        for strength in STRENGTHS:
            held_out = np.full((len(labels), classes), np.nan)
            for train, test in folds:
                weight, bias = fit_logistic(features[train], labels[train], strength)
                held_out[test] = features[test] @ weight.T + bias
            logits = held_out[used]
            loss = log_loss(logits / fit_temperature(logits, labels[used]), labels[used])
            worse = worse + 1 if loss >= best[0] else 0
            best = min(best, (loss, strength, logits), key=lambda item: item[0])
            if worse > _PATIENCE:
                break
    return best[1], best[2]


def scales(features: FloatArray) -> FloatArray:
    """Return by what to divide each of D features (D,): its standard deviation, held to the usual one.

    A few pictures say little about the spread of a single feature, and a feature that hardly varies among
    them would be blown up to the size of all others; with many pictures it is the standard deviation.

    Args:
        features: (N, D).
    """
    pictures, variance = len(features), features.var(axis=0)
    varying = variance[variance > _ROUNDING**2]
    if not len(varying):
        return np.ones(len(variance))
    usual = np.minimum(variance, _LARGEST_VARIANCE * np.median(varying)).mean()
    expected = (pictures * variance + _PRIOR_PICTURES * usual) / (pictures + _PRIOR_PICTURES)
    return np.asarray(np.maximum(np.sqrt(expected), _ROUNDING))


def fit_logistic(features: FloatArray, labels: IntArray, strength: float) -> tuple[FloatArray, FloatArray]:
    """Fit logistic regression on scaled features; return weight (C, D) and bias (C,) on raw ones.

    Args:
        features: (N, D).
        labels: Classes (N,); each of 0 to C - 1 occurs.
        strength: C of the regression; larger is less regularised.
    """
    from sklearn.linear_model import LogisticRegression

    mean, scale = features.mean(axis=0), scales(features)
    model = LogisticRegression(C=strength, tol=1e-3, max_iter=500)
    model.fit((features - mean) / scale, labels)
    slope, offset = model.coef_, model.intercept_
    if len(slope) == 1:
        # A binary fit has one row, for the second class: share it between two symmetric logits.
        slope, offset = np.concatenate([-slope, slope]) / 2, np.concatenate([-offset, offset]) / 2
    weight = slope / scale
    return weight, offset - weight @ mean
