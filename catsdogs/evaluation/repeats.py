"""Several models: how far they spread, and whether one is better than another on the same pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import t as student_t

from catsdogs.core.errors import DataError
from catsdogs.core.estimate import Estimate
from catsdogs.core.predictions import FloatArray, Predictions
from catsdogs.evaluation import weighted
from catsdogs.evaluation.intervals import LEVEL
from catsdogs.evaluation.resampling import bootstrap, percentile_interval

_RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over several runs; it says how runs differ, which is no interval for the figure.

    Attributes:
        mean: Over the runs.
        deviation: Standard deviation over the runs, with n - 1; NaN for one run.
        low: The lowest.
        high: The highest.
    """

    mean: float
    deviation: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of one value a run; NaN where a run's figure is undefined.

        >>> Spread.of([1.0, 2.0, 3.0])
        Spread(mean=2.0, deviation=1.0, low=1.0, high=3.0)
        """
        array = np.asarray(values, dtype=np.float64)
        deviation = float(array.std(ddof=1)) if len(array) > 1 else math.nan
        return cls(float(array.mean()), deviation, float(array.min()), float(array.max()))

    def to_dict(self) -> dict[str, float | None]:
        """Return plain values for JSON; what is undefined becomes null."""
        return {name: None if math.isnan(value) else value for name, value in asdict(self).items()}


def pool(parts: Sequence[Predictions]) -> Predictions:
    """Return predictions of different pictures as one set, ordered by id.

    Raises:
        DataError: A picture is in two of them, or they know other classes.
    """
    ids = [name for part in parts for name in part.ids]
    if len(set(ids)) < len(ids):
        raise DataError("a picture was predicted twice")
    if len({part.class_names for part in parts}) != 1:
        raise DataError("these predictions are of different classes")
    errors: dict[int, str] = {}
    start = 0
    for part in parts:
        errors |= {start + position: reason for position, reason in part.errors.items()}
        start += len(part)
    whole = Predictions(
        ids=tuple(ids),
        class_names=parts[0].class_names,
        logits=np.concatenate([part.logits for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        errors=errors,
    )
    return whole.select(sorted(range(len(ids)), key=lambda place: ids[place]))


def mean_of_runs(values: Sequence[float]) -> Estimate:
    """Return the mean of one value a run with Student's 95 % interval over the runs; no interval for one run.

    >>> gain = mean_of_runs([1.0, 2.0, 3.0])
    >>> gain.value, round(gain.low, 3), round(gain.high, 3)
    (2.0, -0.484, 4.484)
    """
    spread = Spread.of(values)
    if len(values) < 2:
        return Estimate(spread.mean, math.nan, math.nan)
    half = float(student_t.ppf((1 + LEVEL) / 2, len(values) - 1)) * spread.deviation / math.sqrt(len(values))
    return Estimate(spread.mean, spread.mean - half, spread.mean + half)


def mean_over_pictures(values: FloatArray, *, seed: int) -> Estimate:
    """Return the mean of one value a picture (N,), with the interval over the draw of the pictures."""
    drawn = bootstrap(
        {"mean": lambda counts: weighted.mean(values, counts)}, len(values), seed=seed, resamples=_RESAMPLES
    )
    return percentile_interval(float(values.mean()), drawn["mean"])


def luck_of_choosing(losses: FloatArray, chosen: int, *, seed: int) -> float:
    """Return by how much the gain of the best of several models over the first flatters it, 0 or more.

    The lowest mean of many is low by chance, too. So the choice is repeated on each resample of the pictures,
    and its gain is measured on the pictures that the resample left out: what the gain is beyond that is luck.

    Args:
        losses: (M, N) of M models on the same N pictures; the first is what the others are compared with.
        chosen: The model with the lowest mean.
        seed: The same seed gives the same draws.

    Source: Efron 1983, "Estimating the error rate of a prediction rule: improvement on cross-validation"
    (the leave-one-out bootstrap).
    """
    gains = losses[0] - losses

    def left_out_gain(counts: FloatArray) -> FloatArray:
        left_out = (counts == 0).astype(np.float64)
        best = (losses @ counts).argmin(axis=0)
        return weighted.share((gains[best].T * left_out).sum(axis=0), left_out.sum(axis=0))

    drawn = bootstrap({"gain": left_out_gain}, losses.shape[1], seed=seed, resamples=_RESAMPLES)["gain"]
    return max(0.0, float(gains[chosen].mean() - np.nanmean(drawn)))
