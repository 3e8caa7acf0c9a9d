"""Judging answers about changed pictures against those about the same pictures unchanged.

What changed pictures got is kept as views of predictions (``Predictions.views``): one a change, and the plain
view for the picture as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from catsdogs.core.errors import DataError
from catsdogs.core.estimate import Estimate
from catsdogs.core.predictions import FloatArray, Predictions, softmax
from catsdogs.core.robustnessreport import (
    AttackReport,
    CorruptionReport,
    Series,
    Shift,
    ShiftReport,
    Step,
)
from catsdogs.core.viewanswers import ViewAnswers
from catsdogs.evaluation import weighted
from catsdogs.evaluation.intervals import paired_gain, wilson
from catsdogs.evaluation.resampling import accelerated_interval, bootstrap, leave_out

Place = tuple[str, float, str]
"""What a view is: name of the series, strength, and the strength in words."""

_RESAMPLES = 1000


def answered(predictions: Predictions) -> Predictions:
    """Return the labelled pictures for which every answer is a number.

    Raises:
        DataError: There are none.
    """
    scored = predictions.scorable()
    finite = np.isfinite(views_of(scored).logits).all(axis=(0, 2))
    scored = scored.select(np.flatnonzero(finite & np.isfinite(views_of(scored).plain).all(axis=1)))
    if not len(scored):
        why = next(iter(predictions.errors.values()), "the model's answers are not numbers")
        raise DataError(f"none of the {len(predictions)} pictures can be judged ({why})")
    return scored


def views_of(predictions: Predictions) -> ViewAnswers:
    """Return what was said about each change.

    Raises:
        DataError: It was not kept.
    """
    if predictions.views is None:
        raise DataError("these predictions do not tell what was said about changed pictures")
    return predictions.views


def judge_corruptions(answers: Predictions, places: Sequence[Place], *, seed: int) -> CorruptionReport:
    """Return what corruptions cost.

    Args:
        answers: Of ``answered``; one view a place.
        places: What the views are.
        seed: Of the resampled intervals.
    """
    right, clean = _right(answers)
    error = 1 - right.mean(axis=0)
    lost = error - (1 - clean)
    return CorruptionReport(
        clean=wilson(int(clean.sum()), len(clean)),
        series=_series(right, clean, places),
        mean_error=_mean(error, seed),
        relative_error=_mean(lost, seed, lowest=-1.0),
    )


def judge_attacks(answers: Predictions, places: Sequence[Place], *, steps: int) -> AttackReport:
    """Return what attacks cost; ``places`` say ``fgsm`` or ``pgd``, ``steps`` is the length of PGD."""
    right, clean = _right(answers)
    found = _series(right, clean, places)
    accuracy = wilson(int(clean.sum()), len(clean))
    halved = [
        step.strength
        for series in found
        if series.name == "pgd"
        for step in series.steps
        if step.strength > 0 and step.accuracy.value <= accuracy.value / 2 and accuracy.value
    ]
    return AttackReport(accuracy, found, steps, min(halved, default=None))


def judge_shifts(
    answers: Predictions, places: Sequence[tuple[int, int]], *, room_px: int, seed: int
) -> ShiftReport:
    """Return what moving the picture changes.

    Args:
        answers: Of ``answered``; one view a place.
        places: By how many pixels the views are moved, to the right and downwards; (0, 0) is left out.
        room_px: How far there is room.
        seed: Of the resampled intervals.
    """
    views = views_of(answers)
    right, clean = _right(answers)
    plain = views.plain.argmax(axis=1)
    chosen = np.arange(len(answers)), plain
    moved = np.abs(np.stack([softmax(own)[chosen] for own in views.logits]) - softmax(views.plain)[chosen])
    other = views.logits.argmax(axis=2) != plain
    distances = np.array([max(abs(x), abs(y)) for x, y in places])
    steps = [
        Shift(
            pixels=size,
            changed=wilson(int(other[distances == size].any(axis=0).sum()), len(answers)),
            moved_probability=_mean(moved[distances == size].mean(axis=0), seed),
            accuracy=_mean(right[distances == size].mean(axis=0), seed),
        )
        for size in sorted({int(size) for size in distances if size})
    ]
    return ShiftReport(wilson(int(clean.sum()), len(clean)), tuple(steps), room_px)


def _right(answers: Predictions) -> tuple[FloatArray, FloatArray]:
    """Return 1 where an answer is right: of every view (V, N), and of the plain one (N,)."""
    views = views_of(answers)
    right = views.logits.argmax(axis=2) == answers.labels
    return right.astype(np.float64), (views.plain.argmax(axis=1) == answers.labels).astype(np.float64)


def _series(right: FloatArray, clean: FloatArray, places: Sequence[Place]) -> tuple[Series, ...]:
    steps: dict[str, list[Step]] = {}
    for own, (name, strength, setting) in zip(right, places, strict=True):
        accuracy = wilson(int(own.sum()), len(own))
        steps.setdefault(name, []).append(Step(strength, setting, accuracy, _cost(own, clean)))
    return tuple(Series(name, tuple(own)) for name, own in steps.items())


def _cost(changed: FloatArray, clean: FloatArray) -> Estimate:
    """Return how much lower the share of right answers is than on clean pictures, paired."""
    both, only_changed = int((changed * clean).sum()), int((changed * (1 - clean)).sum())
    only_clean = int(((1 - changed) * clean).sum())
    return paired_gain(only_clean, only_changed, both, len(clean) - both - only_changed - only_clean)


def _mean(values: FloatArray, seed: int, *, lowest: float = 0.0) -> Estimate:
    """Return the mean over pictures of something from ``lowest`` to 1 with its interval.

    Where all pictures have the same value resampling would call it certain: then the limits are those of as
    many equal answers.
    """
    value = float(values.mean())
    if np.ptp(values) == 0:
        doubt = 1 - wilson(len(values), len(values)).low
        return Estimate(value, max(value - doubt, lowest), min(value + doubt, 1.0))
    mean = {"mean": partial(weighted.mean, values)}
    replicates = bootstrap(mean, len(values), seed=seed, resamples=_RESAMPLES)["mean"]
    # Most pictures lose nothing and a few lose much: the percentile interval would lie too low.
    return accelerated_interval(value, replicates, leave_out(mean, len(values), seed=seed)["mean"])
