"""Building what was decided: the ensemble as one network, or a soup of the members' weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from catsdogs import __version__
from catsdogs.core.errors import ModelError
from catsdogs.core.predictions import Predictions
from catsdogs.core.preprocess import common_spec
from catsdogs.core.records import ImageRecord
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.ensemble import EnsembleClassifier
from catsdogs.models.modelcard import ModelCard
from catsdogs.models.modelfile import load_model
from catsdogs.reporting.console import progress, say
from catsdogs.training.soup import greedy_soup, mean_of
from catsdogs.workflows.ensembling.deciding import FEWEST, GREEDY, Decision
from catsdogs.workflows.ensembling.members import Member
from catsdogs.workflows.validating import Validation

# What two networks must have in common for their weights to have a mean.
_SHAPE = ("backbone", "network", "head", "stages", "preprocess")


@dataclass(frozen=True)
class Soup:
    """A mean of weights.

    Attributes:
        classifier: With that mean.
        card: Of it.
        used: Positions of the members in it.
        best: Position of the best single member, by validation; None where there was none.
        words: How it was decided.
        said: Its answers to the validation pictures; None where there were none.
    """

    classifier: ImageClassifier
    card: ModelCard
    used: tuple[int, ...]
    best: int | None
    words: str
    said: Predictions | None


def build_ensemble(members: Sequence[Member], decision: Decision) -> tuple[ImageClassifier, ModelCard]:
    """Return the members that have a vote as one classifier, and its card.

    A single one stays the network that it is.

    Raises:
        ModelError: A member's file is damaged.
    """
    voting = [members[place] for place in decision.voting]
    classifiers = [load_model(member.model)[0] for member in voting]
    training = _training("ensemble", voting) | {"decided": decision.words}
    if len(voting) == 1:
        alone = voting[0].card
        temperature = alone.temperature * decision.temperature
        return classifiers[0], replace(alone, temperature=temperature, training=training)
    first = voting[0].card
    augmentations = [member.card.augmentation for member in voting]
    card = ModelCard(
        backbone=" + ".join(dict.fromkeys(member.card.backbone for member in voting)),
        class_names=first.class_names,
        preprocess=common_spec([member.card.preprocess for member in voting]),
        temperature=decision.temperature,
        training=training,
        embedded=any(member.card.embedded for member in voting),
        augmentation=augmentations[0] if all(one == augmentations[0] for one in augmentations) else None,
        members=tuple(member.card for member in voting),
        vote=decision.vote,
    )
    return EnsembleClassifier(classifiers, card).eval(), card


def cook_soup(members: Sequence[Member], records: Sequence[ImageRecord], *, select: str) -> Soup:
    """Average the members' weights: of all, or greedily of those that do not make validation worse.

    Args:
        members: Of one architecture, best from one start: unrelated networks have no useful mean.
        records: Validation pictures that no member has learned from or is tested on; where there are too
            few, all members go into the soup.
        select: ``all`` or ``greedy``.

    Raises:
        ModelError: The members are of different shape.
    """
    classifiers, card = _of_one_shape(members)
    # Copies: trying a soup writes into the first classifier.
    states = [copy.deepcopy(dict(classifier.state_dict())) for classifier in classifiers]
    if len(records) < FEWEST:
        say(f"only {len(records)} pictures are held out by all members: every one goes into the soup")
        used = list(range(len(members)))
        logs = [math.log(member.card.temperature) for member in members]
        temperature, best, said = math.exp(math.fsum(logs) / len(logs)), None, None
        words, soup = "the mean of all members' weights", mean_of(states)
    else:
        tried = len(members) + (len(members) - 1) * (select == GREEDY) + 1
        with progress("validating a soup", tried * len(records)) as advance:
            judge = Validation(classifiers[0], card, records, advance)
            ranked = sorted((judge(state), place) for place, state in enumerate(states))
            best = ranked[0][1]
            soup, used = mean_of(states), list(range(len(members)))
            words = "the mean of all members' weights"
            if select == GREEDY:
                soup, used, _ = greedy_soup(ranked, lambda place: states[place], judge)
                words = f"members that do not raise the log loss of {len(records):,} validation pictures"
            said, temperature = judge.calibrated(soup)
    classifiers[0].load_state_dict(soup)
    training = _training("soup", [members[place] for place in used]) | {"decided": words}
    embedded = any(member.card.embedded for member in members)
    card = replace(card, temperature=temperature, training=training, embedded=embedded, view_weights=())
    return Soup(classifiers[0], card, tuple(used), best, words, said)


def _training(strategy: str, members: Sequence[Member]) -> dict[str, object]:
    return {"strategy": strategy, "members": [member.name for member in members], "catsdogs": __version__}


def _of_one_shape(members: Sequence[Member]) -> tuple[list[ImageClassifier], ModelCard]:
    loaded = [load_model(member.model) for member in members]
    first = loaded[0][1].to_dict()
    for member, (_, card) in zip(members, loaded, strict=True):
        own = card.to_dict()
        different = [key for key in _SHAPE if own[key] != first[key]]
        if different:
            raise ModelError(
                f"{members[0].name} and {member.name} have no mean: they differ in {', '.join(different)}"
            )
    return [classifier for classifier, _ in loaded], loaded[0][1]
