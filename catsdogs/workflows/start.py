"""Start: the model that a strategy begins with, and for a frozen backbone ends with."""

from __future__ import annotations

import copy
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import torch

from catsdogs import __version__
from catsdogs.core.errors import ConfigError
from catsdogs.core.interpolation import END
from catsdogs.data.presets import PRESETS, AugmentationSettings, AugmentationSpec
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HeadSpec
from catsdogs.models.layergroups import layer_groups
from catsdogs.models.modelcard import TOP, ModelCard
from catsdogs.models.modelfile import cut_backbone
from catsdogs.models.stages import check_stages
from catsdogs.reporting.console import progress, say
from catsdogs.training.optimizers import training_parameters
from catsdogs.training.recipe import Distillation, Recipe
from catsdogs.training.trial import TrainingSpeed, fastest_training
from catsdogs.transfer.labelled import Study
from catsdogs.transfer.scoring import ScoredProbe, best, score_linear, score_svm, svm_stages
from catsdogs.transfer.strategies import FreezePlan, Strategy, freeze_plan
from catsdogs.workflows.sections import FIND, TransferSettings
from catsdogs.workflows.settings import TrainSettings
from catsdogs.workflows.study import Base


@dataclass(frozen=True)
class Start:
    """A model, its card, and the part of ``plan.json`` that says how it is to be trained, if at all."""

    classifier: ImageClassifier
    card: ModelCard
    plan: dict[str, Any]


def probe_for(strategy: Strategy, study: Study, transfer: TransferSettings) -> ScoredProbe:
    """Fit the probe that a strategy's head starts from, on all pictures of the study.

    Raises:
        ModelError: The stages asked for are not those of this backbone.
    """
    if not strategy.best_stage:
        return score_linear(study, (TOP,))
    named = [name.strip() for name in (transfer.stages or "").split(",") if name.strip()]
    wanted = check_stages(named, study.stages) if named else ()
    if strategy.head == "svm":
        places = [wanted] if wanted else svm_stages(linear_probes(study))
        return best([score_svm(study, place, transfer.svm_kernel) for place in places])
    return score_linear(study, wanted) if wanted else best(linear_probes(study))


def linear_probes(study: Study) -> list[ScoredProbe]:
    """Fit a linear probe on each stage."""
    found = []
    with progress("probing stages", len(study.stages)) as advance:
        for stage in study.stages:
            found.append(score_linear(study, (stage.name,)))
            advance(1)
    return found


def assemble(
    strategy: Strategy,
    base: Base,
    probe: ScoredProbe | None,
    settings: TrainSettings,
    *,
    timed: bool = True,
) -> Start:
    """Put backbone and head together, and say how they are to be trained.

    Args:
        strategy: What to build.
        base: Its backbone is not changed.
        probe: What the head starts from; without one it starts from random numbers.
        settings: Of the run.
        timed: Whether the fastest way to train is to be found out.

    Raises:
        UserError: Head, strategy and backbone do not go together.
    """
    torch.manual_seed(settings.seed)
    model = settings.model
    spec = HeadSpec(kind=model.head, hidden=model.hidden, dropout=model.dropout)
    if strategy.head == "svm" and spec.kind == "mlp":
        raise ConfigError(f"{strategy.name} is a head of its own; leave out --model.head mlp")
    if spec.kind == "mlp":
        spec = replace(spec, activation=model.activation)
    stages: tuple[str, ...] = (TOP,)
    temperature = 1.0
    if probe is not None:
        stages = probe.stages
        spec = probe.probe.head_spec(dropout=model.dropout) if spec.kind == "linear" else spec
    backbone = copy.deepcopy(base.backbone)
    width = cut_backbone(backbone, base.spec, stages)
    head = build_head(width, len(base.class_names), spec, model.initialization)
    if probe is not None and spec.kind != "mlp":
        probe.probe.load_into(head, calibrated=strategy.trains_backbone)
        temperature = 1.0 if strategy.trains_backbone else probe.probe.temperature
    classifier = ImageClassifier(backbone, head, base.spec, stages)
    card = ModelCard(
        backbone=base.name,
        class_names=base.class_names,
        preprocess=base.spec,
        head=spec,
        stages=stages,
        temperature=temperature,
        training={"strategy": strategy.name, "seed": settings.seed, "catsdogs": __version__},
        network=base.network,
        embedded=base.embedded,
        augmentation=settings.augmentation.resolved().to_dict() if strategy.trains_backbone else None,
    )
    if not strategy.trains_backbone:
        _say_unused(settings.augmentation, strategy, gradients=spec.kind == "mlp")
        if settings.network.auxiliary:
            say(f"warning: --network.auxiliary changes nothing: {strategy.name} keeps the backbone")
        if spec.kind != "mlp":
            _say_unneeded(settings, strategy)
            return Start(classifier, card, {})
    return Start(classifier, card, _training_plan(strategy, classifier, card, base, settings, timed=timed))


def _training_plan(
    strategy: Strategy,
    classifier: ImageClassifier,
    card: ModelCard,
    base: Base,
    settings: TrainSettings,
    *,
    timed: bool,
) -> dict[str, Any]:
    """Return recipe, freeze plan, layer groups and speed settings, as ``plan.json`` holds them."""
    groups = layer_groups(classifier.backbone)
    phases = phases_for(strategy, len(groups), base.training_pictures, settings.transfer)
    asked = settings.transfer.frozen_statistics
    classifier.frozen_statistics = strategy.frozen_statistics if asked is None else asked
    speed = TrainingSpeed("32-true", channels_last=True)
    if timed:
        trainable = training_parameters(classifier, groups, phases, phases.epochs - 1)
        speed = _training_speed(strategy, settings, classifier, card, base, trainable)
    return {
        "frozen_statistics": classifier.frozen_statistics,
        "recipe": recipe_for(strategy, phases, settings).to_dict(),
        "augmentation": augmentation_for(strategy, phases, settings.augmentation).to_dict(),
        "freeze_plan": phases.to_list(),
        "layer_groups": [group.name for group in groups],
        "cached_features": not strategy.trains_backbone,
        "auxiliary": settings.network.auxiliary if strategy.trains_backbone else 0.0,
        "training_speed": asdict(speed),
    }


def phases_for(strategy: Strategy, groups: int, pictures: int, transfer: TransferSettings) -> FreezePlan:
    """Return what trains when, for a backbone of so many layer groups and so many training pictures."""
    return freeze_plan(
        strategy,
        groups,
        epochs=transfer.epochs or strategy.epochs_for(pictures, transfer.pictures_per_step),
        count=transfer.layer_groups,
        epochs_per_stage=transfer.epochs_per_stage,
        frozen_epochs=transfer.frozen_epochs,
    )


def recipe_for(strategy: Strategy, phases: FreezePlan, settings: TrainSettings) -> Recipe:
    """Return the numbers of the training."""
    transfer = settings.transfer
    return Recipe(
        epochs=phases.epochs,
        learning_rate=_rate(settings, strategy),
        head_rate=transfer.head_rate,
        layer_decay=transfer.layer_decay,
        batch_size=transfer.pictures_per_step,
        patience_epochs=transfer.patience_epochs,
        seed=settings.seed,
        solver=settings.solver,
        schedule=settings.schedule,
        loss=settings.loss,
        averaging=replace(settings.averaging, interpolation=_interpolation(strategy, settings)),
        distillation=settings.distillation if strategy.trains_backbone else Distillation(),
    )


def augmentation_for(strategy: Strategy, phases: FreezePlan, asked: AugmentationSettings) -> AugmentationSpec:
    """Return what happens to training pictures, or to cached features where the backbone stays frozen."""
    changes = asked.resolved() if strategy.trains_backbone else asked.on_features()
    if changes.mixes and changes.mixing_off_epochs >= phases.epochs:
        say(
            f"warning: nothing is mixed: of {phases.epochs} epochs the last "
            f"{changes.mixing_off_epochs} are without (--augmentation.mixing_off_epochs)"
        )
    return changes


def _interpolation(strategy: Strategy, settings: TrainSettings) -> float | Literal["auto"]:
    """Return what was asked for; a head that starts from random numbers is no end of any way.

    Raises:
        ConfigError: Such a head was to be mixed in.
    """
    asked = settings.averaging.interpolation
    if strategy.trains_backbone and strategy.head == "linear" and settings.model.head != "mlp":
        return asked
    if asked not in ("auto", END):
        raise ConfigError(f"--averaging.interpolation {asked:g}: this head starts from random numbers")
    return END


def _say_unused(asked: AugmentationSettings, strategy: Strategy, *, gradients: bool) -> None:
    """Tell who asked for augmentation that features are those of the unchanged pictures."""
    unused = replace(asked, mixup=None, mixing_off_epochs=None) if gradients else asked
    if unused != AugmentationSettings() and unused.resolved() != PRESETS["none"]:
        but = "; only mixup works there" if gradients else ""
        say(
            f"warning: --augmentation changes nothing: the head of {strategy.name} learns from features of "
            f"the pictures as they are{but}"
        )


def _say_unneeded(settings: TrainSettings, strategy: Strategy) -> None:
    """Tell who asked for a solver, a schedule or an average that a fitted head has no steps."""
    asked = {"solver": settings.solver, "schedule": settings.schedule, "averaging": settings.averaging}
    unused = [f"--{name}" for name, section in asked.items() if section != type(section)()]
    if unused:
        say(f"warning: {', '.join(unused)}: no effect, for {strategy.name} is fitted without gradient epochs")


def _rate(settings: TrainSettings, strategy: Strategy) -> float:
    """Return the rate that was asked for, or the strategy's for this solver; 'find' starts from that."""
    given = settings.transfer.learning_rate
    return strategy.learning_rate * settings.solver.rate if given in (None, FIND) else float(given)


def _training_speed(
    strategy: Strategy,
    settings: TrainSettings,
    classifier: ImageClassifier,
    card: ModelCard,
    base: Base,
    trainable: Collection[str],
) -> TrainingSpeed:
    wanted = settings.trainer.get("precision")
    if wanted is None and (settings.trainer.get("deterministic") or not strategy.trains_backbone):
        wanted = "32-true"
    if wanted is not None:
        return TrainingSpeed(precision=str(wanted), channels_last=True)
    return fastest_training(
        classifier,
        card.preprocess,
        card.backbone,
        trainable=trainable,
        batch_size=settings.transfer.pictures_per_step,
        device=base.execution.device,
    )
