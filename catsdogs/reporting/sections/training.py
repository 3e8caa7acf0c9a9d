"""How the training went."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

from catsdogs.evaluation.diagnosis import Diagnosis
from catsdogs.evaluation.learningcurves import LearningCurve
from catsdogs.reporting.curves import draw_curves
from catsdogs.reporting.page.blocks import Drawing, Grid, Section


def training_section(curve: LearningCurve, diagnosis: Diagnosis, unfrozen: Sequence[int]) -> Section:
    """Return learning curves and what they say.

    Args:
        curve: Of the run.
        diagnosis: Of the curve.
        unfrozen: Epochs, from 1, in which further layers began to train.
    """
    columns = (
        ("train loss", curve.train_loss),
        ("val loss", curve.val_loss),
        ("train accuracy", curve.train_accuracy),
        ("val accuracy", curve.val_accuracy),
        ("learning rate", curve.learning_rate),
    )
    known = [(name, values) for name, values in columns if any(map(math.isfinite, values))]
    rows = tuple(
        (str(epoch), *(f"{values[place]:.4g}" for _, values in known))
        for place, epoch in enumerate(curve.epochs)
    )
    best = curve.best_epoch
    told = f"{len(curve.epochs)} epochs"
    if best is not None:
        loss = curve.val_loss[list(curve.epochs).index(best)]
        told += f"; the best is epoch {best}, with a validation loss of {loss:.4f}"
    blocks = (
        Drawing("Learning curves", partial(draw_curves, curve, unfrozen=unfrozen), f"{told}."),
        Grid("Every epoch", ("epoch", *(name for name, _ in known)), rows, folded=True),
    )
    lead = f"{diagnosis.sentence[:1].upper()}{diagnosis.sentence[1:]}"
    return Section("training", "How the training went", lead if lead.endswith(".") else f"{lead}.", blocks)
