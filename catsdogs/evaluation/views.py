"""Whether several views are worth it: what they mended and spoilt, and whether their spread means doubt."""

from __future__ import annotations

from functools import partial

import numpy as np

from catsdogs.core.errors import DataError
from catsdogs.core.predictions import FloatArray, IntArray, Predictions, log_softmax, softmax
from catsdogs.core.temperature import log_losses
from catsdogs.core.viewsreport import ViewsReport
from catsdogs.evaluation import weighted
from catsdogs.evaluation.pairing import Pairing
from catsdogs.evaluation.resampling import Statistic, with_intervals


def spread(logits: FloatArray) -> FloatArray:
    """Return how far the views of each picture disagree, (N,) from 0 up, in nats, from logits (V, N, C).

    It is the entropy of the mean of their probabilities less the mean of their entropies (the generalised
    Jensen-Shannon divergence): 0 where all views say the same, ln 2 where half of them is sure of one class
    and half of another.

    Source: Lin 1991, "Divergence Measures Based on the Shannon Entropy".

    >>> spread(np.array([[[9.0, 9.0]], [[9.0, 9.0]]])).round(4)
    array([0.])
    >>> spread(np.array([[[99.0, 0.0]], [[0.0, 99.0]]])).round(4)
    array([0.6931])
    """
    mean = softmax(logits).mean(axis=0)
    return np.asarray(np.maximum(_entropy(mean) - _entropy_of_logits(logits).mean(axis=0), 0.0))


def compare_views(
    predictions: Predictions,
    *,
    merge: str,
    weights: tuple[float, ...] | None = None,
    picture_s: float | None = None,
    computed: int | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> ViewsReport:
    """Return what merging views has changed against the plain view.

    Args:
        predictions: Merged, labelled, with what each view said; only what could be read is compared.
        merge: How they were merged, for people.
        weights: Of the views, where they are not equal.
        picture_s: Wall-clock seconds a picture, where that was measured.
        computed: Views that the network was given, the plain one among them; by default those merged.
        seed: The same seed gives the same intervals.
        resamples: Draws of the bootstrap.

    Raises:
        DataError: It was not kept what each view said.
    """
    scored = predictions.scorable()
    views = scored.views
    if views is None:
        raise DataError("these predictions do not tell what each view said")
    was_right = views.plain.argmax(axis=1) == scored.labels
    is_right = scored.logits.argmax(axis=1) == scored.labels
    paired = Pairing.of(was_right, is_right)
    gained = log_losses(views.plain, scored.labels) - log_losses(scored.logits, scored.labels)
    wrong = (~is_right).astype(np.int64)
    figures: dict[str, Statistic] = {
        "log_loss": partial(weighted.mean, gained),
        "spread": _ranking(spread(views.logits), wrong),
        "confidence": _ranking(-scored.probabilities.max(axis=1), wrong),
    }
    found = with_intervals(figures, len(scored), seed=seed, resamples=resamples)
    picture_ms = None if picture_s is None else 1000 * picture_s
    return ViewsReport(
        merge=merge,
        wrong_to_right=paired.mended,
        right_to_wrong=paired.spoilt,
        gain={"accuracy": paired.gain, "log_loss": found["log_loss"]},
        doubt={name: found[name] for name in ("spread", "confidence")},
        views=_each(views.names, views.logits, scored.labels, weights),
        picture_ms=picture_ms,
        view_ms=None if picture_ms is None else picture_ms / (computed or len(views)),
    )


def _each(
    names: tuple[str, ...], logits: FloatArray, labels: IntArray, weights: tuple[float, ...] | None
) -> dict[str, dict[str, float]]:
    return {
        name: {
            "accuracy": float((own.argmax(axis=1) == labels).mean()),
            "log_loss": float(log_losses(own, labels).mean()),
            "weight": 1 / len(names) if weights is None else weights[place],
        }
        for place, (name, own) in enumerate(zip(names, logits, strict=True))
    }


def _ranking(scores: FloatArray, wrong: IntArray) -> Statistic:
    """Return the AUROC of mistakes by a score, as a function of counts."""
    return partial(weighted.auroc, np.stack([-scores, scores], axis=1), wrong)


def _entropy(probabilities: FloatArray) -> FloatArray:
    logs = np.log(probabilities, out=np.zeros_like(probabilities), where=probabilities > 0)
    return np.asarray(-(probabilities * logs).sum(axis=-1))


def _entropy_of_logits(logits: FloatArray) -> FloatArray:
    logs = log_softmax(logits)
    return np.asarray(-(np.exp(logs) * logs).sum(axis=-1))
