"""How the training went."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

from catsdogs.core.interpolation import Interpolation
from catsdogs.evaluation.diagnosis import Diagnosis
from catsdogs.evaluation.learningcurves import LearningCurve
from catsdogs.reporting.curves import draw_curves
from catsdogs.reporting.page.blocks import Drawing, Grid, Section, Words


def training_section(
    curve: LearningCurve,
    diagnosis: Diagnosis,
    unfrozen: Sequence[int],
    interpolation: Interpolation | None = None,
) -> Section:
    """Return learning curves and what they say.

    Args:
        curve: Of the run.
        diagnosis: Of the curve.
        unfrozen: Epochs, from 1, in which further layers began to train.
        interpolation: How far from the start towards the trained weights the model lies, where it was asked.
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
    blocks: list[Words | Drawing | Grid] = [
        Drawing("Learning curves", partial(draw_curves, curve, unfrozen=unfrozen), f"{told}."),
        Grid("Every epoch", ("epoch", *(name for name, _ in known)), rows, folded=True),
    ]
    if interpolation is not None:
        blocks.append(Words(_capital(interpolation.sentence)))
    if interpolation is not None and interpolation.log_losses:
        losses = tuple((f"{place:.0%}", f"{loss:.4f}") for place, loss in interpolation.log_losses.items())
        header = ("way from the start to the trained weights", "log loss")
        blocks.append(Grid("Weights between the start and the trained ones", header, losses, folded=True))
    return Section("training", "How the training went", _capital(diagnosis.sentence), tuple(blocks))


def _capital(sentence: str) -> str:
    """Return it with a capital letter and a full stop."""
    return f"{sentence[:1].upper()}{sentence[1:].removesuffix('.')}."
