"""Learning how much each view should count.

The merged probability is a mixture of the views', so its log loss is convex in the weights and expectation
maximisation finds the best ones. A Dirichlet prior around equal weights pulls them back: it is the penalty
that keeps a few pictures from choosing a few views.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from catsdogs.core.errors import DataError
from catsdogs.core.estimate import Estimate
from catsdogs.core.predictions import FloatArray, IntArray, log_softmax
from catsdogs.evaluation import weighted
from catsdogs.evaluation.resampling import bootstrap, percentile_interval

BoolArray = npt.NDArray[np.bool_]
# Pictures that the prior counts for, a view.
_STRENGTHS = (1.0, 10.0, 100.0, 1000.0)
_STEPS = 500
_ENOUGH = 1e-10
_FOLDS = 5
_FEWEST = 2 * _FOLDS


@dataclass(frozen=True)
class LearnedWeights:
    """Weights of V views and what they are worth.

    Attributes:
        weights: Float64 (V,), from 0 up, summing to 1.
        strength: Of the prior: pictures that it counts for, a view.
        gain: Log loss of the plain mean less that of the weighted one, on the pictures they were learned on;
            never below 0.
        unseen_gain: The same by cross-validation: neither the weights nor the strength have seen the picture.
    """

    weights: FloatArray
    strength: float
    gain: float
    unseen_gain: Estimate


def learn_weights(
    logits: FloatArray, labels: IntArray, *, seed: int = 0, judged: bool = True
) -> LearnedWeights:
    """Learn weights of views by log loss.

    The strength of the prior is the one with the best cross-validated log loss, the stronger among equals.

    Args:
        logits: Of each view (V, N, C), finite and calibrated.
        labels: True classes (N,).
        seed: Of folds and intervals.
        judged: Whether the gain is cross-validated, which takes most of the time; else it is undefined.

    Raises:
        DataError: There are fewer than two views or ten pictures.
    """
    if len(logits) < 2:
        raise DataError("weights need two or more views: a single one has nothing to be weighed against")
    if len(labels) < _FEWEST:
        raise DataError(f"weights of views need {_FEWEST} or more labelled pictures, not {len(labels)}")
    true = log_softmax(logits)[:, np.arange(len(labels)), labels]  # (V, N)
    folds = np.random.default_rng(seed).permutation(len(labels)) % _FOLDS
    strength = _best_strength(true, folds)
    weights = mixture_weights(true, strength)
    even = losses(true, np.full(len(true), 1 / len(true)))
    return LearnedWeights(
        weights=weights,
        strength=strength,
        gain=float((even - losses(true, weights)).mean()),
        unseen_gain=_mean_with_interval(even - _unseen(true, folds), seed)
        if judged
        else Estimate.undefined(),
    )


def mixture_weights(true: FloatArray, strength: float) -> FloatArray:
    """Return the weights (V,) that explain these log probabilities of the true classes (V, N) best.

    Every step of expectation maximisation lowers the loss and the penalty together, and it starts where the
    penalty is least: the result is never worse than equal weights on these pictures.

    Source: Dempster, Laird and Rubin 1977, "Maximum Likelihood from Incomplete Data via the EM Algorithm".
    """
    views, n = true.shape
    # What is common to all views of a picture changes no responsibility.
    likelihoods = np.exp(true - true.max(axis=0))
    weights = np.full(views, 1 / views)
    for _ in range(_STEPS):
        shares = weights[:, None] * likelihoods
        shares /= shares.sum(axis=0)
        better = (shares.sum(axis=1) + strength) / (n + strength * views)
        done = float(np.abs(better - weights).max()) < _ENOUGH
        weights = better
        if done:
            break
    return weights


def losses(true: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the log loss of each picture, (N,), from log probabilities of true classes (V, N)."""
    peaks = true.max(axis=0)
    return np.asarray(-peaks - np.log(weights @ np.exp(true - peaks)))


def _best_strength(true: FloatArray, folds: IntArray) -> float:
    """Return the strength with the best cross-validated log loss over these folds."""

    def loss(strength: float) -> float:
        return float(_by_fold(true, folds, lambda seen: mixture_weights(true[:, seen], strength)).mean())

    return min(reversed(_STRENGTHS), key=loss)


def _unseen(true: FloatArray, folds: IntArray) -> FloatArray:
    """Return log losses (N,) by weights whose strength, too, was chosen on the other folds."""

    def learn(seen: BoolArray) -> FloatArray:
        return mixture_weights(true[:, seen], _best_strength(true[:, seen], folds[seen]))

    return _by_fold(true, folds, learn)


def _by_fold(true: FloatArray, folds: IntArray, learn: Callable[[BoolArray], FloatArray]) -> FloatArray:
    found = np.empty(true.shape[1])
    for fold in np.unique(folds):
        out = folds == fold
        found[out] = losses(true[:, out], learn(~out))
    return found


def _mean_with_interval(values: FloatArray, seed: int) -> Estimate:
    replicates = bootstrap({"mean": partial(weighted.mean, values)}, len(values), seed=seed, resamples=1000)
    return percentile_interval(float(values.mean()), replicates["mean"])
