"""Prepare: everything that happens once, in one process, before any gradient step.

Audit, split, features, first head and speed settings, all written to the run folder. What follows reads only
those files, so a resumed run and every process of a distributed one start from the same.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from catsdogs import __version__
from catsdogs.core.errors import ConfigError, DataError
from catsdogs.core.files import write_json
from catsdogs.core.records import ImageRecord
from catsdogs.core.temperature import log_loss
from catsdogs.data.audit import AuditReport, audit
from catsdogs.data.layouts import DataLayout, find_labelled
from catsdogs.data.splits import split_records, straddling, unit_names, write_split
from catsdogs.models.backbones import RANDOM, create_backbone, feature_width, timm_version
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.execution import Execution, Runner
from catsdogs.models.heads import HeadSpec, build_head
from catsdogs.models.modelfile import ModelCard, save_model
from catsdogs.models.trial import fastest_execution
from catsdogs.reporting.console import progress, say, table
from catsdogs.training.recipe import Recipe
from catsdogs.training.trial import TrainingSpeed, fastest_training
from catsdogs.transfer.features import extract_features
from catsdogs.transfer.probes import LinearProbe, fit_linear_probe, load_into
from catsdogs.transfer.strategies import Strategy, find_strategy
from catsdogs.workflows.runfolder import RunFolder
from catsdogs.workflows.settings import DataSettings, TrainSettings
from catsdogs.workflows.workers import decoding_workers


def prepare(settings: TrainSettings, run: RunFolder) -> None:
    """Fill the run folder up to ``plan.json``.

    Raises:
        UserError: The pictures, the backbone or the settings do not allow it.
    """
    strategy = find_strategy(settings.transfer.strategy)
    layout = find_pictures_to_learn(settings)
    records = audit_and_split(settings, layout, run)
    _prepare_model(settings, strategy, layout.class_names, records, run)


def find_pictures_to_learn(settings: TrainSettings) -> DataLayout:
    """Find the labelled pictures, after fetching them where that is asked for."""
    data = settings.data
    root = data.root
    if data.download:
        from catsdogs.data.download import download_public_archive

        with progress("downloading", None) as advance:
            folder = Path("data" if root == DataSettings().root else root)
            root = str(download_public_archive(folder, advance=advance))
    layout = find_labelled(
        root, group_by=data.group_by, limit_per_class=data.limit_per_class, seed=settings.seed
    )
    say(f"{root}: {len(layout.records):,} pictures of {', '.join(layout.class_names)} ({layout.kind})")
    return layout


def audit_and_split(settings: TrainSettings, layout: DataLayout, run: RunFolder) -> tuple[ImageRecord, ...]:
    """Open every picture once, leave out the unreadable ones, and share the others out."""
    workers = decoding_workers(settings.data.workers)
    with progress("auditing", len(layout.records)) as advance:
        report = audit(layout.records, workers=workers, advance=advance)
    report.save(run.audit)
    table("Audit", ("", ""), report.rows())
    for warning in report.warnings:
        say(f"warning: {warning}")
    readable = report.readable(layout.records)
    _require_two_each(readable, layout.class_names)
    records = split_records(
        readable,
        val_fraction=settings.data.val_fraction,
        test_fraction=settings.data.test_fraction,
        seed=settings.seed,
        tie=report.ties,
    )
    write_split(run.split, records)
    shared = straddling(records, report.ties)
    if shared:
        say(f"warning: {len(shared):,} groups or duplicates lie in several splits that the layout fixes")
    counts = Counter(record.split for record in records)
    say("split: " + ", ".join(f"{counts[name]:,} {name}" for name in ("train", "val", "test")))
    return records


def _require_two_each(records: Sequence[ImageRecord], class_names: Sequence[str]) -> None:
    counts = Counter(record.label for record in records)
    for name in class_names:
        if counts[name] < 2:
            raise DataError(f"class {name!r} has {counts[name]} readable pictures; it needs two or more")


def _prepare_model(
    settings: TrainSettings,
    strategy: Strategy,
    class_names: tuple[str, ...],
    records: Sequence[ImageRecord],
    run: RunFolder,
) -> None:
    """Build the classifier, give it its first head, time this machine, and write model and plan."""
    classifier, card = _build(settings, strategy, class_names)
    # A trial's answer may differ between two runs; a deterministic one takes the defaults.
    precision = "fp32" if settings.trainer.get("deterministic") else "auto"
    execution = fastest_execution(classifier, card.preprocess, card.backbone, precision=precision)
    plan: dict[str, Any] = {
        "strategy": strategy.name,
        "summary": strategy.summary,
        "frozen_statistics": strategy.frozen_statistics,
        "weights": settings.model.weights,
        "execution": execution.to_dict(),
        "environment": _environment(),
    }
    if strategy.head_from_probe and card.head.kind == "linear":
        probe = _probe(settings, classifier, card, execution, records, run)
        load_into(classifier.head, probe, calibrated=strategy.trains_backbone)
        plan["probe"] = _evidence(probe)
        if not strategy.trains_backbone:
            card = replace(card, temperature=probe.temperature)
    if strategy.trains_backbone:
        classifier.frozen_statistics = strategy.frozen_statistics
        plan["recipe"] = _recipe(settings, strategy).to_dict()
        plan["training_speed"] = asdict(_training_speed(settings, classifier, card, execution))
        say(f"{strategy.name}: {plan['recipe']['epochs']} epochs at {plan['training_speed']['precision']}")
    save_model(run.start if strategy.trains_backbone else run.model, classifier, card)
    write_json(run.plan, plan)


def _build(
    settings: TrainSettings, strategy: Strategy, class_names: tuple[str, ...]
) -> tuple[ImageClassifier, ModelCard]:
    torch.manual_seed(settings.seed)
    model = settings.model
    head = HeadSpec(kind=model.head, hidden=model.hidden, dropout=model.dropout)
    if not strategy.trains_backbone and head.kind != "linear":
        raise ConfigError(
            f"{strategy.name} fits a linear head; take another strategy for --model.head {head.kind}"
        )
    weights = model.weights if strategy.head_from_probe else RANDOM
    if weights == RANDOM and strategy.head_from_probe:
        say(f"warning: --model.weights none: {strategy.name} builds on random features")
    backbone, spec = create_backbone(
        model.backbone, weights, input_size=model.input_size, stochastic_depth=model.stochastic_depth
    )
    card = ModelCard(
        backbone=model.backbone,
        class_names=class_names,
        preprocess=spec,
        head=head,
        training={"strategy": strategy.name, "seed": settings.seed, "catsdogs": __version__},
    )
    fresh = build_head(feature_width(backbone), len(class_names), head)
    return ImageClassifier(backbone, fresh, spec), card


def _probe(
    settings: TrainSettings,
    classifier: ImageClassifier,
    card: ModelCard,
    execution: Execution,
    records: Sequence[ImageRecord],
    run: RunFolder,
) -> LinearProbe:
    training = [record for record in records if record.split == "train"]
    workers = decoding_workers(settings.data.workers)
    runner = Runner(classifier, execution)
    with progress("features", len(training)) as advance:
        features = extract_features(runner, training, card.preprocess, workers=workers, advance=advance)
    position = {name: index for index, name in enumerate(card.class_names)}
    probe = fit_linear_probe(
        features.values,
        np.array([position[record.label or ""] for record in features.records]),
        classes=len(card.class_names),
        units=unit_names(features.records, AuditReport.load(run.audit).ties),
        seed=settings.seed,
    )
    found = _evidence(probe)
    if probe.held_out_labels.size:
        say(
            f"linear probe: {found['cross_validated_accuracy']:.2%} cross-validated on "
            f"{found['pictures']:,} training pictures "
            f"(C {probe.strength:g}, temperature {probe.temperature:.2f})"
        )
    return probe


def _evidence(probe: LinearProbe) -> dict[str, Any]:
    logits, labels = probe.held_out_logits, probe.held_out_labels
    known = bool(labels.size)
    return {
        "strength": probe.strength,
        "temperature": probe.temperature,
        "pictures": int(labels.size),
        "cross_validated_accuracy": float((logits.argmax(1) == labels).mean()) if known else None,
        "cross_validated_log_loss": log_loss(logits / probe.temperature, labels) if known else None,
    }


def _recipe(settings: TrainSettings, strategy: Strategy) -> Recipe:
    transfer = settings.transfer
    return Recipe(
        epochs=transfer.epochs or strategy.epochs,
        learning_rate=transfer.learning_rate or strategy.learning_rate,
        head_rate=transfer.head_rate,
        weight_decay=transfer.weight_decay,
        warmup=transfer.warmup,
        label_smoothing=transfer.label_smoothing,
        batch_size=transfer.batch_size,
        patience_epochs=transfer.patience_epochs,
        seed=settings.seed,
    )


def _training_speed(
    settings: TrainSettings, classifier: ImageClassifier, card: ModelCard, execution: Execution
) -> TrainingSpeed:
    wanted = settings.trainer.get("precision")
    if wanted is None and settings.trainer.get("deterministic"):
        wanted = "32-true"
    if wanted is not None:
        return TrainingSpeed(precision=str(wanted), channels_last=True)
    return fastest_training(
        classifier,
        card.preprocess,
        card.backbone,
        batch_size=settings.transfer.batch_size,
        device=execution.device,
    )


def _environment() -> dict[str, str]:
    return {
        "catsdogs": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "timm": timm_version(),
        "system": platform.platform(),
    }
