"""Deciding on held-out pictures: who votes, how much each counts, how sure the ensemble may be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np

from catsdogs.core.predictions import FloatArray, IntArray, Predictions
from catsdogs.core.records import ImageRecord
from catsdogs.core.temperature import fit_temperature, log_loss
from catsdogs.core.voting import MAJORITY, SOFT, Vote
from catsdogs.data.layouts import labels_of
from catsdogs.data.splits import read_split
from catsdogs.evaluation.comparison import matched
from catsdogs.evaluation.selection import greedy_selection
from catsdogs.evaluation.viewweights import learn_weights
from catsdogs.reporting.console import progress, say, signed_text
from catsdogs.workflows.applying import apply
from catsdogs.workflows.ensembling.members import Member
from catsdogs.workflows.ensembling.pictures import tested_on
from catsdogs.workflows.heldout import heldout

WEIGHTED, ALL, GREEDY = "weighted", "all", "greedy"
VOTES, SELECTIONS = (SOFT, MAJORITY, WEIGHTED), (ALL, GREEDY)
# Fewer pictures tell nothing about weights.
FEWEST = 20
_FOLDS = 5


@dataclass(frozen=True)
class Decision:
    """Who votes, and how.

    Attributes:
        voting: Positions of the members that have a vote.
        vote: Theirs.
        temperature: Of the ensemble.
        best: Position of the best single member, by its log loss on the pictures that decided; None where
            there were none.
        words: How it was decided.
        said: The ensemble's answers to those pictures; None where there were none. Where they have chosen
            members or weights, each is answered by what the others have chosen.
    """

    voting: tuple[int, ...]
    vote: Vote
    temperature: float
    best: int | None
    words: str
    said: Predictions | None


def answers_for_deciding(members: Sequence[Member]) -> list[Predictions] | None:
    """Return the members' answers to the same pictures, which none of them has learned from.

    A test picture of any member is not among them. None, and a line that says why, where there are too few.
    """
    never = tested_on(members)
    found: list[Predictions] = []
    for member in members:
        own = _held_out(member)
        if own is None:
            _say_undecided(f"{member.name} has no answers to pictures that it has not learned from")
            return None
        found.append(own.select([place for place, name in enumerate(own.ids) if name not in never]))
    common = set(found[0].ids).intersection(*(own.ids for own in found[1:]))
    if len(common) < FEWEST:
        _say_undecided(f"only {len(common)} pictures are held out by all members")
        return None
    return matched(found, [member.name for member in members])


def _say_undecided(reason: str) -> None:
    say(f"{reason}: members vote with equal weights, and nothing is fitted")


def _held_out(member: Member) -> Predictions | None:
    """Return a member's answers to pictures that it has not learned from: its run's, or made now."""
    if member.is_final or member.run is None:
        return heldout(member.model)
    if "val" in member.learned:
        return None
    records = [record for record in read_split(member.run.split) if record.split == "val"]
    return answers_of(member, records, f"{member.name}, validation").scorable() if records else None


def answers_of(member: Member, records: Sequence[ImageRecord], label: str) -> Predictions:
    """Apply a member to labelled pictures."""
    with progress(label, len(records)) as advance:
        applied = apply(member.model, records, advance=advance)
    assert applied is not None
    return applied.predictions.with_labels(labels_of(records, member.card.class_names))


def decide(
    shared: Sequence[Predictions] | None, members: int, *, vote: str, select: str, seed: int
) -> Decision:
    """Decide who votes and how.

    Args:
        shared: What each member says about the same held-out pictures; None where there are none.
        members: How many there are.
        vote: Of ``VOTES``.
        select: Of ``SELECTIONS``.
        seed: Of the folds in which weights are judged.
    """
    if shared is None:
        kind = MAJORITY if vote == MAJORITY else SOFT
        return Decision(tuple(range(members)), Vote.of(kind, [1] * members), 1.0, None, "equal weights", None)
    logits, labels = np.stack([one.logits for one in shared]), shared[0].labels
    best = int(np.argmin([log_loss(own, labels) for own in logits]))
    choose = partial(_choose, vote=vote, select=select, seed=seed)
    chosen = choose(logits, labels)
    merged = chosen.vote.merge(logits[chosen.voting])
    temperature = fit_temperature(merged, labels)
    # What has chosen members flatters them: thresholds learned from it would break their promise.
    answers = (
        _unseen(logits, labels, partial(choose, judged=False), seed)
        if chosen.learned
        else merged / temperature
    )
    said = replace(shared[0], logits=answers, views=None, unfamiliar=None)
    words = ", then ".join(chosen.words)
    return Decision(tuple(chosen.voting.tolist()), chosen.vote, temperature, best, words, said)


class _Chosen(NamedTuple):
    """Who votes and how, as some pictures have decided."""

    voting: IntArray
    vote: Vote
    words: list[str]
    learned: bool


def _choose(
    logits: FloatArray, labels: IntArray, *, vote: str, select: str, seed: int, judged: bool = True
) -> _Chosen:
    ballots: FloatArray = np.ones(len(logits))
    words = ["equal weights"]
    if select == GREEDY:
        ballots = greedy_selection(logits, labels).ballots.astype(np.float64)
        words = [f"greedy selection with replacement on {len(labels):,} held-out pictures"]
    voting = np.flatnonzero(ballots)
    weighted = vote == WEIGHTED and len(voting) > 1
    if weighted:
        learned = learn_weights(logits[voting], labels, seed=seed, judged=judged)
        ballots[voting] = learned.weights
        gain = signed_text("log_loss", learned.unseen_gain)
        words = [
            *(words if select == GREEDY else []),
            f"weights learned by log loss on {len(labels):,} held-out pictures "
            f"(gain over equal ones there, cross-validated: {gain})",
        ]
    # A single member stays the network that it is: there is no vote to smooth.
    kind = MAJORITY if vote == MAJORITY and len(voting) > 1 else SOFT
    return _Chosen(voting, Vote.of(kind, ballots[voting].tolist()), words, weighted or select == GREEDY)


def _unseen(
    logits: FloatArray, labels: IntArray, choose: Callable[[FloatArray, IntArray], _Chosen], seed: int
) -> FloatArray:
    """Return calibrated answers (N, C), each by members and votes that the other folds have chosen."""
    folds = np.random.default_rng(seed).permutation(len(labels)) % _FOLDS
    answers = np.empty(logits.shape[1:])
    for fold in range(_FOLDS):
        seen = folds != fold
        chosen = choose(logits[:, seen], labels[seen])
        merged = chosen.vote.merge(logits[chosen.voting])
        answers[~seen] = merged[~seen] / fit_temperature(merged[seen], labels[seen])
    return answers
