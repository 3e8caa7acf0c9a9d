"""Evidence: what cached features say about a set of pictures, before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from catsdogs.models.modelcard import TOP
from catsdogs.models.stages import Stage
from catsdogs.transfer.growth import GrowthPoint, at_twice, growth
from catsdogs.transfer.labelled import Study
from catsdogs.transfer.scoring import (
    ScoredProbe,
    best,
    joint_stages,
    score_linear,
    score_svm,
    standard_error,
)
from catsdogs.transfer.svm import Kernel
from catsdogs.transfer.transferability import OwnView, log_evidence, own_view

OwnHead = tuple[Any, Any]


@dataclass(frozen=True)
class Evidence:
    """What was measured on N labelled pictures.

    Attributes:
        class_pictures: Pictures of each class, in the order of the classes.
        stages: Of the backbone, from the input to the top.
        linear: A linear probe on each stage, in their order.
        svm: SVMs on the best stages together, and then on the best one.
        log_evidence: LogME of each stage, in their order.
        own: How the backbone's own classifier sees the pictures; None where the weights have none.
        growth: Quality of the best linear probe against the number of pictures.
    """

    class_pictures: tuple[int, ...]
    stages: tuple[Stage, ...]
    linear: tuple[ScoredProbe, ...]
    svm: tuple[ScoredProbe, ...]
    log_evidence: tuple[float, ...]
    own: OwnView | None
    growth: tuple[GrowthPoint, ...]

    @property
    def pictures(self) -> int:
        """N."""
        return sum(self.class_pictures)

    @property
    def top(self) -> ScoredProbe:
        """The linear probe on the top stage."""
        return self.linear[-1]

    @property
    def best_linear(self) -> ScoredProbe:
        """The linear probe with the lowest cross-validated log loss."""
        return best(self.linear)

    @property
    def safest(self) -> ScoredProbe:
        """What luck in a few folds cannot spoil: the SVM on several stages, or else the top's probe."""
        return self.svm[0] if self.svm and len(self.svm[0].losses) else self.top

    @property
    def best_frozen(self) -> ScoredProbe:
        """The best of all probes."""
        return best([*self.svm, *self.linear])

    @property
    def chance(self) -> float:
        """Log loss of answering every picture with the shares of the classes."""
        shares = np.array(self.class_pictures) / self.pictures
        return float(-(shares * np.log(shares)).sum())

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "pictures": self.pictures,
            "class_pictures": list(self.class_pictures),
            "stages": [
                {"stage": stage.name, "stride": stage.stride, "width": stage.width, "log_evidence": value}
                | probe.to_dict()
                for stage, value, probe in zip(self.stages, self.log_evidence, self.linear, strict=True)
            ],
            "svm": [probe.to_dict() for probe in self.svm],
            "top_loses": loss_gap(self.top, self.best_linear),
            "chance_log_loss": self.chance,
            "own_classifier": self.own.to_dict() if self.own else None,
            "growth": [point.to_dict() for point in self.growth],
            "log_loss_at_twice_the_pictures": at_twice(self.growth),
        }


def loss_gap(one: ScoredProbe, other: ScoredProbe) -> dict[str, float | None]:
    """Return by how much the log loss of one is above the other's, with the paired standard error."""
    differences = one.losses - other.losses
    if not len(differences):
        return {"log_loss": None, "error": None}
    return {"log_loss": float(differences.mean()), "error": standard_error(differences)}


def steps(stages: Sequence[Stage]) -> int:
    """Return how often ``measure`` will report progress."""
    return len(stages) + 3


def measure(
    study: Study,
    *,
    kernel: Kernel = "rbf",
    own_head: OwnHead | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> Evidence:
    """Measure what can be measured on frozen features.

    Args:
        study: Labelled features of every stage.
        kernel: Of the SVMs.
        own_head: Weight (K, D) and bias (K,) of the pretrained classifier, where there is one.
        advance: Called with 1 after each piece of work, at most ``steps(study.stages)`` of them.
    """
    linear, evidences = [], []
    for stage in study.stages:
        rows = study.features.of([stage.name])
        linear.append(score_linear(study, (stage.name,)))
        evidences.append(log_evidence(rows, study.labels, study.classes))
        advance(1)
    winner, svm = best(linear), []
    for place in dict.fromkeys((joint_stages(linear), winner.stages)):
        svm.append(score_svm(study, place, kernel))
        advance(1)
    rows = study.features.of(winner.stages)
    points = growth(rows, study.labels, study.units, strength=winner.probe.strength, seed=study.seed)
    advance(1)
    return Evidence(
        class_pictures=tuple(int(count) for count in np.bincount(study.labels, minlength=study.classes)),
        stages=study.stages,
        linear=tuple(linear),
        svm=tuple(svm),
        log_evidence=tuple(evidences),
        own=own_view(study.features.of((TOP,)), *own_head) if own_head else None,
        growth=points,
    )
