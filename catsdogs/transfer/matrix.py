"""The matrix: size of the set x similarity to what the backbone knows -> strategy, with its evidence.

The lectures' table: little data and similar, a linear classifier on the top; little and different, an SVM or
an earlier stage; plenty and similar, fine-tune a few layers; plenty and different, fine-tune many. Here the
axes are measured, and within a row the strategies compete on pictures that they have not seen.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from catsdogs.core.predictions import FloatArray
from catsdogs.models.modelcard import TOP
from catsdogs.transfer.evidence import Evidence
from catsdogs.transfer.scoring import ScoredProbe, standard_error
from catsdogs.transfer.thresholds import Thresholds


@dataclass(frozen=True, slots=True)
class Cell:
    """A place in the matrix.

    Attributes:
        pictures: For training.
        similarity: Share of the labels' uncertainty that the linear probe on the top removes, up to 1.
        plenty: Whether there are enough pictures for gradient epochs.
        similar: Whether the task is similar to what the backbone knows.
    """

    pictures: int
    similarity: float
    plenty: bool
    similar: bool

    @property
    def name(self) -> str:
        """In the lectures' words."""
        return f"{'plenty' if self.plenty else 'little'} and {'similar' if self.similar else 'different'}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self) | {"name": self.name}


def locate(evidence: Evidence, training_pictures: int, thresholds: Thresholds) -> Cell:
    """Place a set of pictures in the matrix.

    Where there were too few pictures for folds nothing speaks against similarity.
    """
    top = evidence.top
    similarity = 1 - top.log_loss / evidence.chance if len(top.losses) and evidence.chance > 0 else 1.0
    return Cell(
        pictures=training_pictures,
        similarity=similarity,
        plenty=training_pictures >= thresholds.plenty,
        similar=similarity >= thresholds.similar,
    )


def best_frozen(evidence: Evidence, thresholds: Thresholds) -> tuple[ScoredProbe, ScoredProbe | None]:
    """Return the probe to take while the backbone is frozen, and the runner-up of another strategy.

    The safest is taken unless another beats it by more than its paired uncertainty allows on so many
    pictures (see ``Thresholds``).
    """
    best, safe = evidence.best_frozen, evidence.safest
    if best is not safe and not _clearly_better(best, safe, thresholds.caution / evidence.pictures):
        best = safe
    others = [one for one in (*evidence.svm, *evidence.linear) if strategy_of(one) != strategy_of(best)]
    runner_up = min(others, key=lambda one: one.log_loss, default=None)
    return best, runner_up


def strategy_of(probe: ScoredProbe) -> str:
    """Return the name of the strategy that ends with this probe."""
    if probe.kind == "svm":
        return "svm_probe"
    return "linear_probe" if probe.stages == (TOP,) else "stage_probe"


def candidate_with_gradients(cell: Cell) -> str | None:
    """Return the strategy with gradient epochs that may beat the best frozen one in this cell."""
    return "finetune_full" if cell.plenty else None


def surety(better: FloatArray, worse: FloatArray) -> float | None:
    """Return how sure it is that the first has the lower mean loss, in [0, 1].

    Args:
        better: Losses (M,) of the one that was taken.
        worse: Losses (M,) of the other on the same pictures.

    Returns:
        The normal probability of the paired difference; None for fewer than two pictures.
    """
    differences = np.asarray(worse) - np.asarray(better)
    error = standard_error(differences)
    if error is None:
        return None
    if error == 0:
        return 0.5
    return 0.5 * (1 + math.erf(float(differences.mean()) / error / math.sqrt(2)))


def _clearly_better(one: ScoredProbe, other: ScoredProbe, errors: float) -> bool:
    if len(one.losses) != len(other.losses):
        return one.log_loss < other.log_loss
    differences = other.losses - one.losses
    return float(differences.mean()) > errors * (standard_error(differences) or 0.0)
