"""Probes and how they did on pictures that they had not seen: what frozen strategies are chosen by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from catsdogs.core.predictions import FloatArray, Predictions
from catsdogs.core.temperature import log_losses
from catsdogs.models.modelcard import TOP
from catsdogs.transfer.labelled import Study
from catsdogs.transfer.probes import LinearProbe, fit_linear_probe, some_of_each
from catsdogs.transfer.svm import Kernel, KernelProbe, fit_kernel_probe

Probe = LinearProbe | KernelProbe
# Where a linear classifier does well an SVM does too: on how many of the best stages one is tried.
_SVM_STAGES = 2
_JOINT_STAGES = 3


@dataclass(frozen=True)
class ScoredProbe:
    """A fitted probe, where it sits, and its cross-validated scores.

    Attributes:
        kind: ``linear`` or ``svm``.
        stages: Whose features it takes.
        probe: Fitted on all the pictures.
        logits: Calibrated out-of-fold logits (M, C) of M pictures; M is 0 where there were too few for folds.
        losses: Their -ln p(true class) (M,).
        correct: Whether their label was right (M,).
    """

    kind: str
    stages: tuple[str, ...]
    probe: Probe
    logits: FloatArray
    losses: FloatArray
    correct: FloatArray

    @property
    def log_loss(self) -> float:
        """Cross-validated; infinite where there were no folds."""
        return float(self.losses.mean()) if len(self.losses) else float("inf")

    @property
    def accuracy(self) -> float:
        """Cross-validated, in [0, 1]; nan where there were no folds."""
        return float(self.correct.mean()) if len(self.correct) else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON: scores with their standard errors over pictures."""
        known = bool(len(self.losses))
        return {
            "kind": self.kind,
            "stages": list(self.stages),
            "pictures": len(self.losses),
            "accuracy": self.accuracy if known else None,
            "accuracy_error": standard_error(self.correct),
            "log_loss": self.log_loss if known else None,
            "log_loss_error": standard_error(self.losses),
            "strength": self.probe.strength,
            "temperature": self.probe.temperature,
        }


def standard_error(values: FloatArray) -> float | None:
    """Return the standard error of the mean of (M,) values; None for fewer than two."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None


def score_linear(study: Study, stages: Sequence[str]) -> ScoredProbe:
    """Fit and score a linear probe on the features of these stages."""
    linear = fit_linear_probe(
        study.features.of(stages), study.labels, classes=study.classes, units=study.units, seed=study.seed
    )
    return _scored("linear", stages, linear, linear.held_out_logits / linear.temperature)


def score_svm(study: Study, stages: Sequence[str], kernel: Kernel = "rbf") -> ScoredProbe:
    """Fit and score an SVM on the features of these stages."""
    rows = study.features.of(stages)
    svm = fit_kernel_probe(
        rows, study.labels, classes=study.classes, units=study.units, seed=study.seed, kernel=kernel
    )
    return _scored("svm", stages, svm, svm.held_out_logits)


def _scored(kind: str, stages: Sequence[str], probe: Probe, logits: FloatArray) -> ScoredProbe:
    labels = probe.held_out_labels
    correct = (logits.argmax(axis=1) == labels).astype(np.float64)
    losses = log_losses(logits, labels) if len(labels) else np.empty(0)
    return ScoredProbe(kind, tuple(stages), probe, logits, losses, correct)


def out_of_fold(study: Study, scored: ScoredProbe, class_names: Sequence[str]) -> Predictions | None:
    """Return what a probe's cross-validation said of the pictures; None where there were too few for folds.

    Args:
        study: What the probe was fitted on.
        scored: The probe.
        class_names: In the order of the labels.
    """
    if not len(scored.logits):
        return None
    used = study.take(some_of_each(study.labels, study.seed))
    return Predictions(
        ids=tuple(record.id for record in used.features.records),
        class_names=tuple(class_names),
        logits=scored.logits,
        labels=used.labels,
    )


def best(scored: Sequence[ScoredProbe]) -> ScoredProbe:
    """Return the one with the lowest cross-validated log loss; without any scores the last, the top."""
    return min(reversed(scored), key=lambda one: one.log_loss)


def svm_stages(linear: Sequence[ScoredProbe]) -> list[tuple[str, ...]]:
    """Return the stages on which an SVM alone is worth its time: the top, and where linear probes do best."""
    if not any(len(one.losses) for one in linear):
        return [(TOP,)]
    ranked = [one.stages for one in _ranked(linear)[:_SVM_STAGES]]
    return ranked if (TOP,) in ranked else [*ranked, (TOP,)]


def joint_stages(linear: Sequence[ScoredProbe]) -> tuple[str, ...]:
    """Return the stages with the best linear probes, in the order of the network, to be taken together."""
    if not any(len(one.losses) for one in linear):
        return (TOP,)
    chosen = {one.stages for one in _ranked(linear)[:_JOINT_STAGES]}
    return tuple(stage for one in linear for stage in one.stages if one.stages in chosen)


def _ranked(scored: Sequence[ScoredProbe]) -> list[ScoredProbe]:
    return sorted(scored, key=lambda one: one.log_loss)
