"""Pictures unlike those in training, which no probability tells apart."""

from __future__ import annotations

from functools import partial

import numpy as np
from matplotlib.figure import Figure

from catsdogs.core.estimate import Estimate
from catsdogs.core.predictions import FloatArray, Predictions
from catsdogs.evaluation.intervals import wilson
from catsdogs.reporting.console import figure_text
from catsdogs.reporting.page.blocks import Drawing, Gallery, Section, Thumb

_STRANGE = 0.95
_SHOWN = 12


def unfamiliar_section(predictions: Predictions) -> Section | None:
    """Return how strange the pictures are, the strangest to look at; None where that is not known."""
    if predictions.unfamiliar is None:
        return None
    known = np.flatnonzero(np.isfinite(predictions.unfamiliar))
    shares = predictions.unfamiliar[known]
    alarms = wilson(int((shares >= _STRANGE).sum()), len(shares))
    lead = (
        f"{figure_text('accuracy', alarms)} of the pictures are as strange as the strangest 5 % of those "
        f"held out in training{_judged(alarms)}. Answers about strange pictures mean little, however sure "
        f"they are: predict --unfamiliar-from {_STRANGE} withholds them."
    )
    order = known[np.argsort(-shares, kind="stable")][:_SHOWN]
    thumbs = tuple(
        Thumb(
            predictions.ids[i],
            f"{predictions.unfamiliar[i]:.3f}: {predictions.class_names[predictions.predicted[i]]} "
            f"{predictions.probabilities[i].max():.1%}",
        )
        for i in order.tolist()
    )
    told = (
        f"Of {len(shares):,} pictures {_counts(shares)}. Pictures like those in training fill all bars alike."
    )
    blocks = (
        Drawing("How unfamiliar they are", partial(draw_unfamiliar, shares), told),
        Gallery("The strangest", thumbs, folded=True),
    )
    return Section("unfamiliar", "Pictures unlike those in training", lead, blocks)


def _judged(alarms: Estimate) -> str:
    if alarms.low > 1 - _STRANGE:
        return ", more than chance brings: many of them are unlike the pictures learned from"
    return ", where 5 % would be as it should be" if alarms.high >= 1 - _STRANGE else ", fewer than expected"


def _counts(shares: FloatArray) -> str:
    low, high = int((shares < 0.5).sum()), int((shares >= _STRANGE).sum())
    return f"{low:,} are below 0.5 and {high:,} at {_STRANGE} or more"


def draw_unfamiliar(shares: FloatArray) -> Figure:
    """Draw how many pictures are how strange."""
    figure = Figure(figsize=(8, 2.9), layout="constrained")
    axes = figure.subplots()
    axes.hist(shares, bins=20, range=(0, 1), color="tab:blue", alpha=0.7)
    axes.axhline(len(shares) / 20, color="0.5", linestyle=":", label="like those in training")
    axes.set_xlabel("unfamiliar: share of familiar pictures that lie nearer")
    axes.set_ylabel("pictures")
    axes.set_xlim(0, 1)
    figure.legend(loc="outside lower center", fontsize=8)
    return figure
