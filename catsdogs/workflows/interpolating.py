"""Interpolating: after training, the kept weights go as far back towards their start as validation wants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from catsdogs.core.interpolation import END, INTERPOLATION, POSITIONS, Interpolation, best_position
from catsdogs.core.records import ImageRecord
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.modelcard import ModelCard
from catsdogs.models.modelfile import load_model, save_model
from catsdogs.reporting.console import progress, say
from catsdogs.training.recipe import Recipe
from catsdogs.training.soup import stir
from catsdogs.workflows.runfolder import RunFolder
from catsdogs.workflows.validating import Validation

AUTO = "auto"


def interpolate(run: RunFolder, held_out: Sequence[ImageRecord]) -> None:
    """Put the weights that are best on the way from the start model to the trained one in its place.

    Doing it again, after a kill, changes nothing.

    Args:
        run: With both models, and the recipe that says how far, or that the pictures are to decide.
        held_out: That the weights have not learned from; without any they would decide nothing, and the
            trained weights stay.
    """
    asked = Recipe.from_dict(run.read_plan()["recipe"]).averaging.interpolation
    if asked == END or (asked == AUTO and not held_out):
        return
    classifier, card = load_model(run.path)
    if INTERPOLATION in card.training:
        return
    start, trained = _tensors(load_model(run.start)[0]), _tensors(classifier)
    if asked == AUTO:
        found = _judge(classifier, card, start, trained, held_out)
    else:
        found = Interpolation(float(asked), 0, {})
    classifier.load_state_dict(between(start, trained, found.position))
    training = {**card.training, INTERPOLATION: found.to_dict()}
    save_model(run.model, classifier, replace(card, training=training))
    say(found.sentence)


def between(start: dict[str, Tensor], trained: dict[str, Tensor], position: float) -> dict[str, Tensor]:
    """Return the weights at a position: 0 is the start, 1 the trained weights; what never moved is exact."""
    return stir(trained, start, 1 - position)


def _judge(
    classifier: ImageClassifier,
    card: ModelCard,
    start: dict[str, Tensor],
    trained: dict[str, Tensor],
    held_out: Sequence[ImageRecord],
) -> Interpolation:
    with progress("validating interpolations", len(POSITIONS) * len(held_out)) as advance:
        judge = Validation(classifier, card, held_out, advance)
        losses = {position: judge(between(start, trained, position)) for position in POSITIONS}
    return Interpolation(best_position(losses, len(held_out)), len(held_out), losses)


def _tensors(classifier: ImageClassifier) -> dict[str, Tensor]:
    """Return copies: trying weights writes into the classifier."""
    return {name: value.clone() for name, value in classifier.state_dict().items()}
