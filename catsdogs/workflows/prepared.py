"""What prepare wrote, read back: where the gradient epochs and the search for a rate start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.layergroups import LayerGroup, layer_groups
from catsdogs.models.modelcard import ModelCard
from catsdogs.models.modelfile import load_model
from catsdogs.training.recipe import Recipe
from catsdogs.training.trial import TrainingSpeed
from catsdogs.transfer.strategies import FreezePlan
from catsdogs.workflows.runfolder import RunFolder
from catsdogs.workflows.settings import TrainSettings


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A run with everything but its gradient epochs.

    Attributes:
        run: Where it lies.
        plan: As ``plan.json`` holds it.
        recipe: The numbers.
        phases: Which layer groups train when.
        speed: How steps are computed.
        classifier: The start model, as it trains.
        card: Of the start model.
        groups: The backbone's layer groups.
    """

    run: RunFolder
    plan: Mapping[str, Any]
    recipe: Recipe
    phases: FreezePlan
    speed: TrainingSpeed
    classifier: ImageClassifier
    card: ModelCard
    groups: Sequence[LayerGroup]


def read_prepared(run: RunFolder, settings: TrainSettings, plan: Mapping[str, Any]) -> Prepared:
    """Load the start model as the plan trains it.

    Raises:
        ModelError: The start model cannot be read.
    """
    speed = TrainingSpeed(**plan["training_speed"])
    classifier, card = load_model(run.start, stochastic_depth=settings.model.stochastic_depth)
    classifier.frozen_statistics = plan["frozen_statistics"]
    classifier.set_channels_last(speed.channels_last)
    return Prepared(
        run,
        plan,
        Recipe.from_dict(plan["recipe"]),
        FreezePlan.from_list(plan["freeze_plan"]),
        speed,
        classifier,
        card,
        layer_groups(classifier.backbone),
    )
