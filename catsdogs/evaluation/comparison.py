"""Is one model better than another? Their answers to the same pictures, picture by picture.

Two models are mostly right and wrong about the same pictures. What they differ by is therefore known better
than what either of them is worth: intervals of differences are narrower than the figures' own suggest.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from catsdogs.core.comparison import AgainstFirst, Change, Comparison
from catsdogs.core.errors import DataError
from catsdogs.core.estimate import Estimate
from catsdogs.core.predictions import UNLABELLED, IntArray, Predictions
from catsdogs.core.temperature import log_losses
from catsdogs.evaluation import weighted
from catsdogs.evaluation.intervals import mean_of_independent
from catsdogs.evaluation.judge import evaluate
from catsdogs.evaluation.pairing import BoolArray, Pairing, holm
from catsdogs.evaluation.resampling import Statistic, with_intervals

FIGURES = ("accuracy", "balanced_accuracy", "log_loss", "auroc")
SURE = 0.05
_MOST_SHOWN = 20
# Resampling fewer would call a difference certain that one or two pictures make.
_FEWEST_LOSSES = 10
# As in judge: half a minute at most, unless that leaves fewer draws than an interval needs.
_MOST_STEPS = 1_000_000_000
_FEWEST_RESAMPLES = 100


def compare(
    answers: Sequence[Predictions], names: Sequence[str], *, seed: int = 0, resamples: int = 1000
) -> Comparison:
    """Compare models on the pictures that all of them have answered.

    Args:
        answers: Of two or more models.
        names: What the models are called, each once; the others are compared with the first.
        seed: The same seed gives the same intervals.
        resamples: Draws of the bootstrap; fewer, but at least 100, of very many pictures.

    Raises:
        DataError: The models know other classes, call a picture's true class by two names, or share no
            readable labelled picture.
    """
    shared = matched(answers, names)
    labels, n = shared[0].labels, len(shared[0])
    right = [one.logits.argmax(axis=1) == labels for one in shared]
    rankings: list[Statistic] = [partial(weighted.auroc, one.probabilities, labels) for one in shared]
    losses = [log_losses(one.logits, labels) for one in shared]
    gains: dict[str, Statistic] = {}
    for place in range(1, len(shared)):
        gains[f"log_loss {place}"] = partial(weighted.mean, losses[0] - losses[place])
        gains[f"auroc {place}"] = _difference(rankings[place], rankings[0])
    draws = min(resamples, max(_FEWEST_RESAMPLES, _MOST_STEPS // (shared[0].logits.size * len(shared))))
    found = with_intervals(gains, n, seed=seed, resamples=draws)
    pairings = [Pairing.of(right[0], other) for other in right[1:]]
    p_values = holm([pairing.p_value for pairing in pairings])
    return Comparison(
        names=tuple(names),
        n=n,
        left_out={name: len(one) - n for name, one in zip(names, answers, strict=True)},
        figures={name: _figures(one, seed, draws) for name, one in zip(names, shared, strict=True)},
        others=tuple(
            AgainstFirst(
                name=names[place],
                gain=_share_gains(right[0], right[place], labels)
                | {figure: found[f"{figure} {place}"] for figure in ("log_loss", "auroc")},
                fixed=pairing.mended,
                broken=pairing.spoilt,
                p_value=p_values[place - 1],
                fixed_pictures=_changes(shared[0], shared[place], ~right[0] & right[place]),
                broken_pictures=_changes(shared[0], shared[place], right[0] & ~right[place]),
            )
            for place, pairing in enumerate(pairings, start=1)
        ),
        **_matrices(right),
    )


def matched(answers: Sequence[Predictions], names: Sequence[str]) -> list[Predictions]:
    """Return the answers to the pictures that all models could read, in one order and with their labels.

    A picture is known by its id; a label that one model's answers carry holds for all.

    Raises:
        DataError: As ``compare`` says.
    """
    if len(answers) < 2:
        raise DataError("a comparison needs two or more models")
    classes = answers[0].class_names
    for name, one in zip(names, answers, strict=True):
        if [c.casefold() for c in one.class_names] != [c.casefold() for c in classes]:
            raise DataError(
                f"{name} knows {', '.join(one.class_names)}; {names[0]} knows {', '.join(classes)}"
            )
    places = [{id: place for place, id in enumerate(one.ids)} for one in answers]
    common = [id for id in answers[0].ids if all(id in others for others in places[1:])]
    if not common:
        firsts = " and ".join(
            f"{one.ids[0] if len(one) else 'nothing'} in {name}"
            for name, one in zip(names[:2], answers, strict=False)
        )
        raise DataError(f"these models have no picture in common ({firsts}): evaluate them on the same")
    aligned = [one.select([where[id] for id in common]) for one, where in zip(answers, places, strict=True)]
    labels = _labels(aligned, names)
    usable = np.logical_and.reduce([one.readable for one in aligned]) & (labels != UNLABELLED)
    if not usable.any():
        raise DataError(f"none of the {len(common)} pictures in common is readable and has a label")
    return [one.with_labels(labels.tolist()).select(usable) for one in aligned]


def _labels(aligned: Sequence[Predictions], names: Sequence[str]) -> IntArray:
    """Return what any of them says about each picture.

    Raises:
        DataError: Two say different things.
    """
    labels = aligned[0].labels.copy()
    for name, one in zip(names, aligned, strict=True):
        clash = (one.labels != labels) & (one.labels != UNLABELLED) & (labels != UNLABELLED)
        if clash.any():
            place = int(np.flatnonzero(clash)[0])
            first, second = (one.class_names[known[place]] for known in (labels, one.labels))
            raise DataError(
                f"{one.ids[place]} is a {first} elsewhere and a {second} in {name}: "
                "these are not the same pictures"
            )
        labels = np.where(labels == UNLABELLED, one.labels, labels)
    return labels


def _figures(one: Predictions, seed: int, resamples: int) -> dict[str, Estimate]:
    """Return a model's own figures, as its evaluation has them."""
    metrics = evaluate(one, split="input", tta="none", seed=seed, resamples=resamples).metrics
    return {name: metrics[name] for name in FIGURES}


def _share_gains(before: BoolArray, after: BoolArray, labels: IntArray) -> dict[str, Estimate]:
    """Return the gains by formula: unlike resampling it gives width to what happened in no picture."""
    of_classes = [Pairing.of(before[labels == c], after[labels == c]).gain for c in np.unique(labels)]
    return {
        "accuracy": Pairing.of(before, after).gain,
        "balanced_accuracy": mean_of_independent(of_classes, lowest=-1.0),
    }


def _difference(one: Statistic, other: Statistic) -> Statistic:
    return lambda counts: one(counts) - other(counts)


def _changes(before: Predictions, after: Predictions, which: BoolArray) -> tuple[Change, ...]:
    """Return the pictures whose true class gained or lost most, first; equals stay in their order."""
    places = np.flatnonzero(which)
    true = before.labels[places]
    was, now = (one.probabilities[places, true] for one in (before, after))
    order = np.argsort(-np.abs(now - was), kind="stable")[:_MOST_SHOWN]
    names = before.class_names
    return tuple(
        Change(
            id=before.ids[places[i]],
            true=names[true[i]],
            before=names[before.predicted[places[i]]],
            after=names[after.predicted[places[i]]],
            probability_before=float(was[i]),
            probability_after=float(now[i]),
        )
        for i in order.tolist()
    )


def _matrices(right: Sequence[BoolArray]) -> dict[str, tuple[tuple[float, ...], ...]]:
    models = len(right)
    pairs = [(row, column) for row in range(models) for column in range(row)]
    corrected = holm([Pairing.of(right[column], right[row]).p_value for row, column in pairs])
    p_values = np.ones((models, models))
    for (row, column), p_value in zip(pairs, corrected, strict=True):
        p_values[row, column] = p_values[column, row] = p_value
    shares = np.array([one.mean() for one in right])
    gains = shares[:, None] - shares[None, :]
    return {
        "gain_matrix": tuple(tuple(row) for row in gains.tolist()),
        "p_matrix": tuple(tuple(row) for row in p_values.tolist()),
    }


def sentence(comparison: Comparison, other: AgainstFirst) -> str:
    """Say in words whether a model is better than the first, by accuracy and by log loss."""
    first = comparison.names[0]
    gain, loss = other.gain["accuracy"], other.gain["log_loss"]
    pictures = f"{other.fixed} {_plural(other.fixed)} fixed, {other.broken} broken"
    proof = f"{pictures}, p = {_p_text(other.p_value)}"
    if not _excludes_zero(gain):
        both = f"{other.name} and {first}"
        words = f"No difference in accuracy between {both} is proven: {_points(gain)}; {proof}"
    else:
        better, worse = (other.name, first) if gain.value > 0 else (first, other.name)
        size = gain if gain.value > 0 else Estimate(-gain.value, -gain.high, -gain.low)
        doubt = "" if other.p_value < SURE else "; the exact test alone does not prove it"
        words = f"{better} is better than {worse} by {_points(size)}; {proof}{doubt}"
    if comparison.n < _FEWEST_LOSSES:
        return f"{words}. Log losses of so few pictures cannot be compared"
    return f"{words}. {_loss_words(other.name, first, loss)}"


def _loss_words(name: str, first: str, loss: Estimate) -> str:
    if not _excludes_zero(loss):
        interval = f"{loss.value:+.4f} (95 % {loss.low:+.4f} to {loss.high:+.4f})"
        return f"No difference in log loss is proven: {interval}"
    low, high = sorted((abs(loss.low), abs(loss.high)))
    word = "lower" if loss.value > 0 else "higher"
    return (
        f"The log loss of {name} is {word} than that of {first} by "
        f"{abs(loss.value):.4f} (95 % {low:.4f} to {high:.4f})"
    )


def _excludes_zero(estimate: Estimate) -> bool:
    return estimate.low > 0 or estimate.high < 0


def _points(gain: Estimate) -> str:
    # Added to 0, what rounds to -0 becomes 0.
    value, low, high = (round(100 * number, 1) + 0.0 for number in (gain.value, gain.low, gain.high))
    return f"{value:.1f} points (95 % {low:.1f} to {high:.1f})"


def _p_text(p_value: float) -> str:
    return "below 0.0001" if p_value < 1e-4 else f"{p_value:.2g}"


def _plural(count: int) -> str:
    return "picture" if count == 1 else "pictures"
