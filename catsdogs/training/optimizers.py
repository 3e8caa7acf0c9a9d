"""Parameter groups, and the rate of each as a pure function of the step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.layergroups import LayerGroup, trainable_parameters
from catsdogs.training.recipe import Recipe, Schedule
from catsdogs.training.schedules import cycled_momentum, schedule_factor
from catsdogs.transfer.strategies import FreezePlan, Phase

HEAD = -1


def training_parameters(
    classifier: ImageClassifier, groups: Sequence[LayerGroup], plan: FreezePlan, epoch: int | None = None
) -> frozenset[str]:
    """Return the backbone's parameters that train in an epoch, or in any epoch where none is given."""
    phases = plan.phases if epoch is None else (plan.phase_at(epoch),)
    return frozenset().union(
        *(
            trainable_parameters(
                classifier.backbone, groups, training=phase.groups, norm_and_bias=phase.norm_and_bias
            )
            for phase in phases
        )
    )


def parameter_groups(
    classifier: ImageClassifier,
    groups: Sequence[LayerGroup],
    plan: FreezePlan,
    recipe: Recipe,
    companions: Sequence[nn.Module] = (),
) -> list[dict[str, Any]]:
    """Return every tensor that trains in some phase, once: by layer group, with and without weight decay.

    Biases and the scales of normalisation layers (tensors of one dimension) do not decay: pulling them to
    zero regularises nothing (He et al. 2019, Bag of Tricks, section 3.1). A group ``d`` groups below the
    head has the rate ``learning_rate * layer_decay ** d`` (Bao et al. 2022, BEiT, appendix). Where L2-SP
    pulls the backbone's weights to their start, nothing pulls them to zero (Li et al. 2018, equation 3).
    Companions (an auxiliary classifier, a map to a teacher's features) learn like the head.

    Returns:
        What torch's optimizers take, and ``layer_group``: the group's number, or ``HEAD``.
    """
    wanted = training_parameters(classifier, groups, plan)
    named = dict(classifier.backbone.named_parameters())
    parts = [
        (
            number,
            recipe.learning_rate * recipe.layer_decay ** (len(groups) - number),
            [named[name] for name in group.parameters if name in wanted],
        )
        for number, group in enumerate(groups)
    ]
    of_heads = [parameter for head in (classifier.head, *companions) for parameter in head.parameters()]
    parts.append((HEAD, recipe.learning_rate * recipe.head_rate, of_heads))
    below = 0.0 if recipe.loss.l2_sp else recipe.solver.decay
    return [
        {"params": chosen, "weight_decay": decay, "lr": rate, "layer_group": number}
        for number, rate, parameters in parts
        for decay, chosen in (
            (
                recipe.solver.decay if number == HEAD else below,
                [parameter for parameter in parameters if parameter.ndim > 1],
            ),
            (0.0, [parameter for parameter in parameters if parameter.ndim <= 1]),
        )
        if chosen
    ]


def rate_factor(
    plan: FreezePlan,
    layer_group: int,
    *,
    steps_per_epoch: int,
    schedule: Schedule,
    most_steps: int | None = None,
) -> Callable[[int], float]:
    """Return the factor on a layer group's learning rate as a function of the step; 0 while it is frozen.

    Args:
        plan: Which groups train when, and where the schedule starts again.
        layer_group: The group's number, or ``HEAD``.
        steps_per_epoch: Of the optimizer.
        schedule: Within each cycle.
        most_steps: Where the run ends if that is sooner than the plan.
    """

    def factor(step: int) -> float:
        phase, done, total = _position(plan, step, steps_per_epoch, most_steps)
        if layer_group != HEAD and layer_group not in phase.groups:
            return 0.0
        return phase.rate * schedule_factor(schedule, done, total_steps=total)

    return factor


def momentum_at(
    plan: FreezePlan, step: int, *, steps_per_epoch: int, schedule: Schedule, most_steps: int | None = None
) -> float | None:
    """Return the momentum of a step (see ``rate_factor``); None where the schedule leaves it alone."""
    _, done, total = _position(plan, step, steps_per_epoch, most_steps)
    return cycled_momentum(schedule, done, total_steps=total)


def _position(
    plan: FreezePlan, step: int, steps_per_epoch: int, most_steps: int | None
) -> tuple[Phase, int, float]:
    """Return the phase of a step, how many steps of its schedule's cycle came before, and how many it has."""
    epoch = min(step // steps_per_epoch, plan.epochs - 1)
    first, end = plan.cycle_at(epoch)
    total = min(end * steps_per_epoch, most_steps or math.inf) - first * steps_per_epoch
    return plan.phase_at(epoch), step - first * steps_per_epoch, total
