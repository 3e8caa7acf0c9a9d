"""The pictures that repay a look: wrong and sure of it, hardly decided, or labelled against all evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from catsdogs.core.predictions import IntArray, Predictions
from catsdogs.core.report import Mistake
from catsdogs.core.temperature import log_losses


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said about one picture.

    Attributes:
        id: Of the picture.
        true: Its label.
        predicted: The answer.
        probability: Of the answer, in [0, 1].
        loss: -ln of the probability of the label.
    """

    id: str
    true: str
    predicted: str
    probability: float
    loss: float

    @property
    def right(self) -> bool:
        """Whether the answer is the label."""
        return self.true == self.predicted


@dataclass(frozen=True)
class Galleries:
    """Pictures worth a look, each tuple with the first to look at first.

    Attributes:
        confident: Wrong answers, the most confident first.
        unsure: Answers, right or wrong, whose two best classes were nearest to each other.
        hardest: Of the pictures that were learned from: those with the highest log loss when a model that had
            not learned from them was asked. Wrong labels gather here.
        conflicting: Groups of duplicates with different labels, as (id, label).
    """

    confident: tuple[Answer, ...]
    unsure: tuple[Answer, ...]
    hardest: tuple[Answer, ...] = ()
    conflicting: tuple[tuple[tuple[str, str], ...], ...] = ()


def galleries(
    predictions: Predictions,
    *,
    out_of_fold: Predictions | None = None,
    conflicting: Sequence[Sequence[str]] = (),
    labels: Mapping[str, str] | None = None,
    n: int = 20,
) -> Galleries:
    """Return up to ``n`` pictures of each kind; unreadable and unlabelled pictures are passed over.

    Args:
        predictions: Of the evaluation.
        out_of_fold: Of the training pictures, each by a model that had not learned from it; None where the
            run has none.
        conflicting: Groups of ids, as in ``AuditReport.conflicting_duplicates``.
        labels: Id -> class name, for those groups; an id without one is left out.
        n: The most of each kind.
    """
    known = labels or {}
    groups = [tuple((id, known[id]) for id in group if id in known) for group in conflicting]
    return Galleries(
        confident=_confident(predictions.scorable(), n),
        unsure=least_sure(predictions, n),
        hardest=() if out_of_fold is None else highest_loss(out_of_fold, n),
        conflicting=tuple(group for group in groups if len({label for _, label in group}) > 1)[:n],
    )


def most_confident_mistakes(predictions: Predictions, n: int = 20) -> tuple[Mistake, ...]:
    """Return up to ``n`` wrong predictions, the most confident first; equals stay in the pictures' order.

    Unreadable and unlabelled pictures are passed over.
    """
    return tuple(
        Mistake(one.id, one.true, one.predicted, one.probability)
        for one in _confident(predictions.scorable(), n)
    )


def least_sure(predictions: Predictions, n: int = 20) -> tuple[Answer, ...]:
    """Return up to ``n`` answers with the smallest margin between the two most probable classes first."""
    scored = predictions.scorable()
    ranked = np.sort(scored.logits, axis=1)
    if ranked.shape[1] < 2:
        return ()
    # Of equal margins in probability those of logits decide; between 0.5 and 0.5 both are 0.
    margin = ranked[:, -1] - ranked[:, -2]
    return answers_at(scored, np.argsort(margin, kind="stable")[:n])


def highest_loss(predictions: Predictions, n: int = 20) -> tuple[Answer, ...]:
    """Return up to ``n`` answers, those first that gave the label the smallest probability."""
    scored = predictions.scorable()
    return answers_at(scored, np.argsort(-log_losses(scored.logits, scored.labels), kind="stable")[:n])


def answers_at(scored: Predictions, positions: IntArray) -> tuple[Answer, ...]:
    """Return the answers at these positions of predictions that are all readable and labelled."""
    if not len(positions):
        return ()
    some = scored.select(positions)
    losses, confidence = log_losses(some.logits, some.labels), some.probabilities.max(axis=1)
    return tuple(
        Answer(
            id=some.ids[i],
            true=some.class_names[some.labels[i]],
            predicted=some.class_names[some.predicted[i]],
            probability=float(confidence[i]),
            loss=float(losses[i]),
        )
        for i in range(len(some))
    )


def _confident(scored: Predictions, n: int) -> tuple[Answer, ...]:
    confidence = scored.probabilities.max(axis=1)
    wrong = np.flatnonzero(scored.predicted != scored.labels)
    return answers_at(scored, wrong[np.argsort(-confidence[wrong], kind="stable")][:n])
