"""Outline of a training: which layers train when and at which rate, without training anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.layergroups import LayerGroup
from catsdogs.training.optimizers import HEAD, parameter_groups, rate_factor, training_parameters
from catsdogs.training.recipe import Recipe
from catsdogs.transfer.strategies import FreezePlan

_POINTS_PER_EPOCH = 20


@dataclass(frozen=True, slots=True)
class LayerOutline:
    """One layer group, or the head, over a whole training.

    Attributes:
        name: Of the group.
        parameters: It has.
        training: How many of them train, for each phase.
        peak_rate: The highest learning rate, for each phase; 0 where it is frozen.
        rates: The learning rate at twenty points of each epoch.
    """

    name: str
    parameters: int
    training: tuple[int, ...]
    peak_rate: tuple[float, ...]
    rates: tuple[float, ...]


def outline(
    classifier: ImageClassifier, groups: Sequence[LayerGroup], plan: FreezePlan, recipe: Recipe
) -> list[LayerOutline]:
    """Return the layer groups from the input to the top, then the head."""
    sizes = {name: p.numel() for name, p in classifier.backbone.named_parameters()}
    head = sum(parameter.numel() for parameter in classifier.head.parameters())
    base_rates = {
        group["layer_group"]: float(group["lr"])
        for group in parameter_groups(classifier, groups, plan, recipe)
    }
    alive = [training_parameters(classifier, groups, plan, epoch) for epoch in plan.starts]
    found = []
    for number, group in enumerate(groups):
        training = tuple(sum(sizes[name] for name in group.parameters if name in names) for names in alive)
        parameters = sum(sizes[name] for name in group.parameters)
        found.append(
            _layer(group.name, parameters, training, number, plan, recipe, base_rates.get(number, 0))
        )
    found.append(_layer("head", head, (head,) * len(alive), HEAD, plan, recipe, base_rates.get(HEAD, 0)))
    return found


def _layer(
    name: str,
    parameters: int,
    training: tuple[int, ...],
    number: int,
    plan: FreezePlan,
    recipe: Recipe,
    rate: float,
) -> LayerOutline:
    factor = rate_factor(plan, number, steps_per_epoch=_POINTS_PER_EPOCH, schedule=recipe.schedule)
    rates = [rate * factor(step) for step in range(plan.epochs * _POINTS_PER_EPOCH)]
    ends = (*plan.starts[1:], plan.epochs)
    peaks = [
        max(rates[start * _POINTS_PER_EPOCH : end * _POINTS_PER_EPOCH])
        for start, end in zip(plan.starts, ends, strict=True)
    ]
    return LayerOutline(name, parameters, training, tuple(peaks), tuple(rates))
