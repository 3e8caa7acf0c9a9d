"""Greedy selection: which members to take, and how often."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from catsdogs.core.predictions import FloatArray, IntArray, log_softmax
from catsdogs.evaluation.viewweights import losses

_ROUNDS = 50


@dataclass(frozen=True)
class Selection:
    """Members that were taken.

    Attributes:
        ballots: Int64 (M,): how often each was taken; 0 for those left out.
        log_loss: Of their mean on the pictures that chose them.
    """

    ballots: IntArray
    log_loss: float


def greedy_selection(logits: FloatArray, labels: IntArray) -> Selection:
    """Take, again and again, the member whose probabilities lower the log loss of the mean most.

    A member may be taken several times, which weighs it. Of 50 rounds those up to the lowest loss count; the
    first among equals. The first round takes the best single member, so the result is never worse than that
    one on these pictures.

    Args:
        logits: Calibrated, of each member, (M, N, C), on pictures that none of them has learned from.
        labels: True classes (N,).

    Source: Caruana et al. 2004, "Ensemble Selection from Libraries of Models".
    """
    true = log_softmax(logits)[:, np.arange(len(labels)), labels]  # (M, N)
    members = len(true)
    taken = np.zeros(members)
    best = Selection(taken.astype(np.int64), np.inf)
    for round_ in range(1, _ROUNDS + 1):
        tried = [float(losses(true, (taken + one) / round_).mean()) for one in np.eye(members)]
        chosen = int(np.argmin(tried))
        taken[chosen] += 1
        if tried[chosen] < best.log_loss:
            best = Selection(taken.astype(np.int64), tried[chosen])
    return best
