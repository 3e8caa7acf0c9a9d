"""Diagnosis: what a learning curve says about the training, in words with their evidence.

The kinds are those of the lectures:

- underfitting: the training loss is flat and high, or still falls at the end;
- overfitting: the training loss goes on falling while the validation loss fell to a point and rises again;
- unrepresentative training set: both improve, but a large gap remains between them;
- unrepresentative validation set: the validation loss jumps about, or is lower than the training loss;
- good fit: both fall to stability with a small gap.

Source: J. Brownlee, How to use Learning Curves to Diagnose Machine Learning Model Performance, 2019. The
limits were set on one half of the real runs of ``tests/evaluation/curves`` and measured on the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from catsdogs.evaluation.curveshape import CurveShape, judged, shape_of
from catsdogs.evaluation.learningcurves import LearningCurve

UNDERFITTING = "underfitting"
OVERFITTING = "overfitting"
TRAINING_SET = "unrepresentative training set"
VALIDATION_SET = "unrepresentative validation set"
GOOD_FIT = "good fit"
TOO_SHORT = "too short to judge"
NO_VALIDATION = "no validation to judge by"
DIVERGED = "diverged"

# Below this, one odd epoch is a quarter of all there is behind the first.
LEAST_EPOCHS = 6
# All limits but the accuracies are shares of the loss at the start.
# An ordinary run's validation loss jumps by less from epoch to epoch ...
NOISE = 0.03
# ... or its training loss jumps nearly as much, and then the learning rate is the reason, not the examples.
NOISE_OF_TRAINING = 3.0
# A network that fits its examples loses more of its first loss than this ...
LEARNT = 0.45
# ... or than this, where it still names less than this share of its examples ...
LEARNT_BY_POOR, POOR = 0.65, 0.7
# ... unless it was as good as this when it began: a head from a probe, weights that know the task.
ACCURATE = 0.9
LOW_LOSS = 0.1
# A network that has not learnt this much yet has a level that its few examples set: easier says nothing.
BEGUN = 0.1
# Dropout and augmentation alone put an ordinary training loss above the validation loss by less.
BELOW = 0.12
# A validation loss that has risen by less may be chance; or by less than this and this share of its lowest,
RISE = 0.05
MILD_RISE, MILD_RISE_OF_LOWEST = 0.03, 0.3
# or by less than this many of its own jumps: more of them where they are so large that few examples make
# the validation loss wander.
RISE_OF_NOISE, RISE_OF_JUMPS = 2.0, 15.0
# Where most of the gap was there at the best epoch, the examples differ and no epoch is to blame.
RISE_OF_GAP = 0.22
# Ordinary runs on enough examples end with less between the losses.
GAP = 0.145
# ... or than this, where the accuracies lie apart as well, by so much.
GAP_IN_BOTH, ACCURACY_GAP = 0.09, 0.06
# The last quarter of a run that has come to rest changes less. Mixed pictures and smoothed labels keep the
# training loss high: there this share of it is enough.
FALLING, DISTURBED = 0.03, 1 / 3
# What a network still learns that is right this often is no lack worth an alarm.
NEARLY_PERFECT = 0.98


@dataclass(frozen=True)
class Diagnosis:
    """What is the matter, and how one sees it.

    Attributes:
        name: The kind, one of this module's names.
        form: Which form of it, such as ``still falling``; empty where it has only one.
        evidence: Sentences with figures.
        epoch: From which epoch it overfits or has diverged; None for other kinds.
    """

    name: str
    form: str = ""
    evidence: tuple[str, ...] = ()
    epoch: int | None = None

    @property
    def title(self) -> str:
        """Name, form and epoch in a few words."""
        form = f" ({self.form})" if self.form else ""
        return f"{self.name}{form}{f' from epoch {self.epoch}' if self.epoch is not None else ''}"

    @property
    def sentence(self) -> str:
        """All of it in one line."""
        return f"{self.title}: {'; '.join(self.evidence)}" if self.evidence else self.title

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"name": self.name, "form": self.form, "epoch": self.epoch, "evidence": list(self.evidence)}


def diagnose(curve: LearningCurve, *, disturbed: bool = False) -> Diagnosis:
    """Name what a curve shows: the first kind whose signs are all there.

    Args:
        curve: Of any training.
        disturbed: Whether training is known to see harder examples than validation does (augmentation,
            dropout, mixing, smoothed labels): then a validation loss below the training loss says nothing.
    """
    if curve.diverged is not None:
        said = f"the training loss of epoch {curve.diverged} is not a finite number"
        return Diagnosis(DIVERGED, evidence=(said,), epoch=curve.diverged)
    if not any(map(math.isfinite, curve.val_loss)):
        return Diagnosis(NO_VALIDATION, evidence=("no epoch has a validation loss",))
    count = len(judged(curve))
    if count < LEAST_EPOCHS:
        return Diagnosis(TOO_SHORT, evidence=(f"{count} epochs have both losses, {LEAST_EPOCHS} are needed",))
    shape = shape_of(curve)
    epochs = [curve.epochs[position] for position in judged(curve)]
    for rule in _RULES:
        found = rule(shape, epochs, disturbed)
        if found is not None:
            return found
    return _good_fit(shape)


_NOISY, _EASY, _FLAT, _FALLING = "noisy", "easier than training", "flat", "still falling"


def _noisy_validation(shape: CurveShape, _: Sequence[int], __: bool) -> Diagnosis | None:
    if shape.noise < max(NOISE, NOISE_OF_TRAINING * shape.train_noise):
        return None
    said = (
        f"the validation loss jumps by {_loss(shape, shape.noise)} from epoch to epoch, "
        f"{shape.noise:.0%} of the loss at the start; the training loss by {_loss(shape, shape.train_noise)}"
    )
    return Diagnosis(VALIDATION_SET, _NOISY, (said, "too few validation examples, or others in each epoch"))


def _easy_validation(shape: CurveShape, _: Sequence[int], disturbed: bool) -> Diagnosis | None:
    if disturbed or shape.below < BELOW or shape.learnt < BEGUN:
        return None
    said = (
        f"the validation loss lies {_loss(shape, shape.below)} below the training loss, "
        f"{shape.below:.0%} of the loss at the start"
    )
    why = "its examples are easier than those of the training, or augmentation makes the training harder"
    return Diagnosis(VALIDATION_SET, _EASY, (said, why))


def _flat(shape: CurveShape, _: Sequence[int], __: bool) -> Diagnosis | None:
    settled = max(shape.falling, shape.val_falling) < FALLING
    accurate = max(shape.train_accuracy, shape.val_accuracy) >= ACCURATE
    low = min(shape.train_level, shape.val_level) * shape.scale < LOW_LOSS
    limit = LEARNT_BY_POOR if max(shape.train_accuracy, shape.val_accuracy) < POOR else LEARNT
    if max(shape.learnt, shape.val_learnt) >= limit or not settled or accurate or low:
        return None
    said = (
        f"the training loss ends at {_loss(shape, shape.train_level)}, {shape.learnt:.0%} below its start",
        f"and fell by {_loss(shape, shape.falling)} over the last quarter of the epochs",
    )
    return Diagnosis(UNDERFITTING, _FLAT, said)


def _overfitting(shape: CurveShape, epochs: Sequence[int], __: bool) -> Diagnosis | None:
    jumps = RISE_OF_JUMPS if shape.noise >= NOISE else RISE_OF_NOISE
    mild = shape.rise >= MILD_RISE_OF_LOWEST * (shape.val_level - shape.rise)
    enough = shape.rise >= max(MILD_RISE if mild else RISE, jumps * shape.noise, RISE_OF_GAP * shape.gap)
    if not enough or shape.gap < 0 or shape.train_after_best < 0:
        return None
    said = (
        f"the validation loss rose from {_loss(shape, shape.val_level - shape.rise)} "
        f"around epoch {epochs[shape.best]} to {_loss(shape, shape.val_level)}",
        f"while the training loss fell by another {_loss(shape, shape.train_after_best)} "
        f"to {_loss(shape, shape.train_level)}",
    )
    return Diagnosis(OVERFITTING, "", said, epochs[shape.best + 1])


def _training_set(shape: CurveShape, _: Sequence[int], __: bool) -> Diagnosis | None:
    apart = shape.train_accuracy - shape.val_accuracy >= ACCURACY_GAP
    if shape.gap < (GAP_IN_BOTH if apart else GAP):
        return None
    said = (
        f"the validation loss ends {_loss(shape, shape.gap)} above the training loss "
        f"({_loss(shape, shape.val_level)} against {_loss(shape, shape.train_level)})",
        f"and {_loss(shape, shape.gap_at_best)} of that were there at its best epoch",
    )
    return Diagnosis(TRAINING_SET, "", said)


def _still_falling(shape: CurveShape, _: Sequence[int], disturbed: bool) -> Diagnosis | None:
    least = FALLING * (DISTURBED if disturbed else 1)
    if shape.falling < least or shape.val_falling < FALLING or shape.val_accuracy >= NEARLY_PERFECT:
        return None
    said = (
        f"over the last quarter of the epochs the training loss fell by {_loss(shape, shape.falling)} "
        f"and the validation loss by {_loss(shape, shape.val_falling)}"
    )
    return Diagnosis(UNDERFITTING, _FALLING, (said, "more epochs or a higher learning rate would go on"))


_RULES: tuple[Callable[[CurveShape, Sequence[int], bool], Diagnosis | None], ...] = (
    _overfitting,
    _noisy_validation,
    _easy_validation,
    _flat,
    _training_set,
    _still_falling,
)


def _good_fit(shape: CurveShape) -> Diagnosis:
    said = (
        f"both losses have come to rest, training at {_loss(shape, shape.train_level)} and validation at "
        f"{_loss(shape, shape.val_level)}"
    )
    return Diagnosis(GOOD_FIT, evidence=(said,))


def _loss(shape: CurveShape, share: float) -> str:
    """Return a share of the loss at the start as a loss, in the file's unit."""
    return f"{share * shape.scale:.3g}"
