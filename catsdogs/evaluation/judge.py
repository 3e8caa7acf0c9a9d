"""Predictions in, judgement out: every figure with its interval, the confusion and the worst mistakes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from catsdogs.core.errors import DataError
from catsdogs.core.estimate import Estimate
from catsdogs.core.predictions import UNLABELLED, IntArray, Predictions
from catsdogs.core.report import EvaluationReport
from catsdogs.core.temperature import log_losses
from catsdogs.evaluation import metrics, weighted
from catsdogs.evaluation.calibration import mass_bin
from catsdogs.evaluation.intervals import f1_interval, mean_of_independent, perfect_ranking, wilson
from catsdogs.evaluation.mistakes import most_confident_mistakes
from catsdogs.evaluation.resampling import (
    Statistic,
    accelerated_interval,
    bootstrap,
    folded_interval,
    leave_out,
    studentized_interval,
)

# Ranking N pictures for C classes in R draws takes N x C x R steps, about 30 ns each: half a minute at most,
# unless that leaves fewer draws than an interval needs.
_MOST_STEPS = 1_000_000_000
_FEWEST_RESAMPLES = 100
# All probability on a wrong class.
_WORST_BRIER = 2.0


def evaluate(
    predictions: Predictions, *, split: str, tta: str, seed: int = 0, resamples: int = 1000
) -> EvaluationReport:
    """Return what these predictions say about the model that made them.

    Only pictures that could be read and carry a label are scored. Sets of very many pictures and classes get
    fewer resamples, at least 100.

    Args:
        predictions: Of one model, or of one merge of models.
        split: Where the pictures come from: ``test``, ``val``, ``train`` or ``input``.
        tta: The views that were merged.
        seed: The same seed gives the same intervals.
        resamples: Draws of the bootstrap behind the figures that are not shares.

    Raises:
        DataError: No picture can be scored, or the model gave a readable picture no finite score.
    """
    scored = _scorable(predictions)
    confusion = metrics.confusion_matrix(scored.logits, scored.labels)
    return EvaluationReport(
        split=split,
        n=len(scored),
        n_unreadable=len(predictions.errors),
        tta=tta,
        class_names=scored.class_names,
        metrics=_metrics(scored, confusion, seed, resamples),
        per_class=_per_class(scored.class_names, confusion),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        mistakes=most_confident_mistakes(scored),
    )


def _scorable(predictions: Predictions) -> Predictions:
    if not predictions.has_labels:
        raise DataError(f"nothing to evaluate: none of the {len(predictions)} pictures has a label")
    scored = predictions.scorable()
    if not len(scored):
        labelled = np.flatnonzero(predictions.labels != UNLABELLED)
        first = int(labelled[0])
        raise DataError(
            f"nothing to evaluate: none of the {len(labelled)} labelled pictures could be read "
            f"({predictions.ids[first]}: {predictions.errors[first]})"
        )
    lost = np.flatnonzero(~np.isfinite(scored.logits).all(axis=1))
    if len(lost):
        raise DataError(
            f"the model's scores are not finite for {len(lost)} of {len(scored)} pictures, "
            f"first {scored.ids[lost[0]]}: it was probably damaged in training"
        )
    return scored


def _metrics(scored: Predictions, confusion: IntArray, seed: int, resamples: int) -> dict[str, Estimate]:
    """Return the figures over all pictures, in the order in which they are shown."""
    probabilities, labels = scored.probabilities, scored.labels
    losses, scores = log_losses(scored.logits, labels), metrics.brier_scores(probabilities, labels)
    means: dict[str, Statistic] = {
        name: partial(weighted.mean, values)
        for name, values in (
            ("log_loss", losses),
            ("log_loss squared", np.square(losses)),
            ("brier", scores),
            ("brier squared", np.square(scores)),
        )
    }
    smooth: dict[str, Statistic] = {
        "auroc": partial(weighted.auroc, probabilities, labels),
        "average_precision": partial(weighted.average_precision, probabilities, labels),
    }
    folded: dict[str, Statistic] = {
        "ece": partial(weighted.gaps, probabilities, labels),
        "ece_mass": partial(weighted.gaps, probabilities, labels, binning=mass_bin),
    }
    n, once = len(scored), np.ones((len(scored), 1))
    draws = max(_FEWEST_RESAMPLES, _MOST_STEPS // probabilities.size)
    replicates = bootstrap(means | smooth | folded, n, seed=seed, resamples=min(resamples, draws))
    left_out = leave_out(smooth, n, seed=seed)
    found = {
        "accuracy": wilson(int(np.trace(confusion)), n),
        "balanced_accuracy": mean_of_independent(_recalls(confusion)),
        "log_loss": studentized_interval(losses, replicates["log_loss"], replicates["log_loss squared"]),
    }
    for name, statistic in smooth.items():
        value = float(statistic(once)[0])
        found[name] = accelerated_interval(value, replicates[name], left_out[name])
    found |= _perfect(found, confusion)
    found["brier"] = studentized_interval(
        scores, replicates["brier"], replicates["brier squared"], highest=_WORST_BRIER
    )
    return found | {
        name: folded_interval(statistic(once)[0], replicates[name]) for name, statistic in folded.items()
    }


def _perfect(found: Mapping[str, Estimate], confusion: IntArray) -> dict[str, Estimate]:
    """Return intervals for rankings without a mistake: that of the rarest class, the least sure of all."""
    actual = confusion.sum(axis=1)
    rarest = int(actual[actual > 0].min())
    perfect: dict[str, Callable[[], Estimate]] = {
        "auroc": lambda: perfect_ranking(rarest, int(actual.sum()) - rarest),
        "average_precision": lambda: wilson(rarest, rarest),
    }
    return {name: estimate() for name, estimate in perfect.items() if found[name].value == 1.0}


def _recalls(confusion: IntArray) -> list[Estimate]:
    return [wilson(int(row[i]), int(row.sum())) for i, row in enumerate(confusion)]


def _per_class(class_names: tuple[str, ...], confusion: IntArray) -> dict[str, dict[str, Estimate]]:
    hits, actual, called = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    return {
        name: {
            "precision": wilson(int(hits[i]), int(called[i])),
            "recall": wilson(int(hits[i]), int(actual[i])),
            "f1": f1_interval(int(hits[i]), int(actual[i] + called[i] - hits[i])),
        }
        for i, name in enumerate(class_names)
    }
