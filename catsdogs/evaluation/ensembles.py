"""What members are worth together: the error that independence would promise, and the error there is."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from catsdogs.core.ensemblereport import EnsembleReport, Judgement, OfSize
from catsdogs.core.estimate import Estimate
from catsdogs.core.predictions import FloatArray, IntArray, Predictions
from catsdogs.core.temperature import log_loss
from catsdogs.core.voting import Vote
from catsdogs.evaluation import weighted
from catsdogs.evaluation.comparison import compare
from catsdogs.evaluation.intervals import wilson

# Of each size; five members have no more than ten of any.
_MOST_SUBSETS = 30


def majority_error(members: int, error: float) -> float:
    """Return how often the majority of members is wrong that err alike and independently, in [0, 1].

    With an even number a tie is half wrong: it is decided by a coin. There are two classes; of more, members
    that are wrong in different ways do not make a majority, and this is an upper bound.

    Args:
        members: How many, 1 or more.
        error: Of each, in [0, 1].

    Source: Condorcet 1785; Hansen and Salamon 1990, "Neural Network Ensembles".

    >>> majority_error(3, 0.01).__round__(9), majority_error(2, 0.01).__round__(9)
    (0.000298, 0.01)
    """
    return majority_error_of([error] * members)


def majority_error_of(errors: Sequence[float]) -> float:
    """Return the same for members that err differently often, still independently.

    The number of wrong members then has the Poisson binomial distribution.

    Source: Wang 1993, "On the Number of Successes in Independent Trials".

    >>> majority_error_of([0.1, 0.2, 0.3]).__round__(9)
    0.098
    """
    wrong = np.ones(1)  # place k: the probability that k members are wrong
    for error in errors:
        wrong = np.convolve(wrong, [1 - error, error])
    members = len(errors)
    tie = wrong[members // 2] / 2 if members % 2 == 0 else 0.0
    return float(wrong[members // 2 + 1 :].sum() + tie)


def error_correlations(wrong: FloatArray) -> FloatArray:
    """Return the correlation (phi) of being wrong between members, (M, M), from 0 or 1 a picture, (M, N).

    NaN where a member is never wrong, or always: it has nothing to correlate with.
    """
    centred = wrong - wrong.mean(axis=1, keepdims=True)
    spreads = np.sqrt((centred**2).sum(axis=1))
    whole = np.outer(spreads, spreads)
    return weighted.share(centred @ centred.T, whole)


def quality_by_size(logits: FloatArray, labels: IntArray, kind: str, *, seed: int = 0) -> tuple[OfSize, ...]:
    """Return what 1, 2 ... M of the members are worth with equal weights, over their subsets.

    Args:
        logits: Calibrated, of each member, (M, N, C).
        labels: True classes (N,).
        kind: Of the vote.
        seed: Of the subsets, where there are too many to look at all of them.
    """
    members = len(logits)
    return tuple(_of_size(logits, labels, kind, size, seed) for size in range(1, members + 1))


def _of_size(logits: FloatArray, labels: IntArray, kind: str, size: int, seed: int) -> OfSize:
    subsets = _subsets(len(logits), size, seed)
    errors, losses = [], []
    for subset in subsets:
        merged = Vote.of(kind, [1] * size).merge(logits[list(subset)])
        errors.append(float((merged.argmax(axis=1) != labels).mean()))
        losses.append(log_loss(merged, labels))
    mean, loss = math.fsum(errors) / len(errors), math.fsum(losses) / len(losses)
    return OfSize(size, len(subsets), mean, min(errors), max(errors), loss, min(losses), max(losses))


def _subsets(members: int, size: int, seed: int) -> list[tuple[int, ...]]:
    """Return all subsets of a size, or ``_MOST_SUBSETS`` different ones drawn at random."""
    if math.comb(members, size) <= _MOST_SUBSETS:
        return list(itertools.combinations(range(members), size))
    chance = np.random.default_rng([seed, size])
    found: dict[tuple[int, ...], None] = {}
    while len(found) < _MOST_SUBSETS:
        drawn = chance.permutation(members)[:size].tolist()
        found[tuple(sorted(drawn))] = None
    return list(found)


def judge(
    answers: Sequence[Predictions],
    names: Sequence[str],
    ensemble: Predictions,
    *,
    kind: str,
    best: str,
    voting: Sequence[str],
    source: str,
    chosen: bool = True,
    seed: int = 0,
) -> Judgement:
    """Return what an ensemble brought on pictures that none of its members has learned from.

    Args:
        answers: Of each member that was looked at, to the same scorable pictures in the same order.
        names: Of those members.
        ensemble: What they say together.
        kind: Of the vote, for ensembles of other sizes.
        best: The member that was best on other pictures; the ensemble is compared with it.
        voting: The members that have a vote.
        source: Where the pictures come from.
        chosen: Whether other pictures have told that ``best`` is the best.
        seed: Of intervals and subsets.
    """
    labels = ensemble.labels
    by_name = dict(zip(names, answers, strict=True))
    logits = np.stack([by_name[name].logits for name in voting])
    wrong = (logits.argmax(axis=2) != labels).astype(np.float64)
    together = wrong.sum(axis=0)
    return Judgement(
        source=source,
        comparison=compare([by_name[best], ensemble], [best, "the ensemble"], seed=seed),
        members={name: _error(one) for name, one in by_name.items()},
        error=_error(ensemble),
        independent_error=majority_error_of(wrong.mean(axis=1).tolist()),
        correlations=tuple(map(tuple, error_correlations(wrong).tolist())),
        all_wrong=int((together == len(voting)).sum()),
        most_wrong=int((together > len(voting) / 2).sum()),
        sizes=quality_by_size(logits, labels, kind, seed=seed),
        chosen=chosen,
    )


def _error(answers: Predictions) -> Estimate:
    return wilson(int((answers.predicted != answers.labels).sum()), len(answers))


def why(report: EnsembleReport) -> list[str]:
    """Say in words what the ensemble brought, and why less than independent members would."""
    judgement = report.judgement
    if judgement is None:
        return ["No picture is left that all members have not learned from: nothing judges this ensemble."]
    members = len(judgement.correlations)
    n, first = judgement.comparison.n, judgement.comparison.names[0]
    single = f"the best single member ({first}, chosen on other pictures)"
    if not judgement.chosen:
        single = f"{first}, the first member as nothing held out tells the best,"
    lines = [
        f"The ensemble is wrong about {_percent(judgement.error)} of {n:,} pictures; {single} about "
        f"{_percent(judgement.members[first])}."
    ]
    if report.kind == "soup" or members < 2:
        return lines
    expected = judgement.independent_error
    lines.append(
        f"If its {members} members were wrong as often as they are, but independently, a majority of them "
        f"would be wrong about {100 * expected:.2g} % ({expected * n:.1f} pictures); "
        f"a majority is wrong about {judgement.most_wrong}, all are about {judgement.all_wrong}."
    )
    correlation = judgement.mean_correlation
    if not math.isnan(correlation):
        lines.append(_correlation_words(correlation, judgement, expected * n))
    return lines


def _correlation_words(correlation: float, judgement: Judgement, expected: float) -> str:
    words = f"Their errors correlate by {correlation:.2f} on average (0 would be independence, 1 the same)."
    if judgement.most_wrong > expected:
        words += " They are wrong about the same pictures, and no vote mends what most of them get wrong."
    return words


def _percent(estimate: Estimate) -> str:
    value, low, high = (100 * number for number in (estimate.value, estimate.low, estimate.high))
    return f"{value:.2f} % ({low:.2f} to {high:.2f})"
