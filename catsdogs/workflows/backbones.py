"""Which backbone to take: what is known of each, how fast it is here, and what it says about your pictures.

Nothing is fetched: speed needs no weights, and only those that are at hand are tried on pictures.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from catsdogs.core.errors import ConfigError, ModelError
from catsdogs.core.files import require_writable
from catsdogs.core.predictions import FloatArray, IntArray
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.core.records import ImageRecord
from catsdogs.core.temperature import log_losses
from catsdogs.data.audit import audit
from catsdogs.data.layouts import find_labelled
from catsdogs.data.preparation import Pixels
from catsdogs.data.splits import unit_names
from catsdogs.models.backbones import RANDOM, create_backbone, feature_width
from catsdogs.models.catalogue import Entry, find_entries, identify_files, size, without_network
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.execution import PRECISIONS, Execution, Runner, best_device
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HeadSpec
from catsdogs.models.modelcard import TOP
from catsdogs.models.stages import Stage
from catsdogs.models.trial import fastest_execution, has_bf16
from catsdogs.reporting.backbones import (
    NO_WEIGHTS,
    NOT_AT_HAND,
    SORTS,
    BackboneRow,
    Quality,
    show_backbones,
    sort_rows,
    write_backbones,
)
from catsdogs.reporting.console import progress, say
from catsdogs.transfer.cache import FeatureCache
from catsdogs.transfer.features import extract_features, feature_space
from catsdogs.transfer.floor import FLOOR_SPEC, floor_features
from catsdogs.transfer.probes import fit_linear_probe
from catsdogs.transfer.svm import fit_kernel_probe
from catsdogs.workflows.extraction import open_extractor
from catsdogs.workflows.workers import decoding_workers

FLOOR = "HOG + colours, SVM"
# More pictures tell the same order of backbones, only later.
_MOST_PICTURES = 2_000
_LEAST_OF_A_CLASS = 5
_TRIAL_S, _TRIAL_ROUNDS = 0.5, 5


@dataclass(frozen=True)
class BackboneSettings:
    """What is compared, on what, and where the rows go.

    Attributes:
        pattern: Globs with ``|`` between them; by default a short list.
        weights: Local files of weights, and folders of them.
        root: Labelled pictures to try the backbones on.
        group_by: As for training.
        limit_per_class: Use at most this many pictures of each class; never more than 2,000 pictures in all.
        limit: Rows to show of what the pattern matches: those at hand first, then the best on ImageNet.
        sort: One of ``SORTS``.
        speed: Whether to time each backbone on this machine.
        workers: Decoding threads.
        seed: Of the pictures that are drawn, and of the folds.
        out: CSV file for the rows.
        json: JSON file for the rows.
    """

    pattern: str | None = None
    weights: tuple[str, ...] = ()
    root: str | None = None
    group_by: str | None = None
    limit_per_class: int | None = None
    limit: int = 20
    sort: str | None = None
    speed: bool = True
    workers: int | None = None
    seed: int = 0
    out: Path | None = None
    json: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be done.

        Raises:
            ConfigError: The limit is below 1, or nothing would be measured to sort by.
        """
        if self.limit < 1:
            raise ConfigError(f"--limit must be 1 or more, not {self.limit}")
        if self.sort is not None and self.sort not in SORTS:
            raise ConfigError(f"--sort must be one of {', '.join(SORTS)}, not {self.sort!r}")
        if self.sort == "speed" and not self.speed:
            raise ConfigError("--sort speed needs --speed true")
        if self.sort in ("accuracy", "log_loss") and self.root is None:
            raise ConfigError(f"--sort {self.sort} needs labelled pictures: --data.root PATH")


@dataclass(frozen=True)
class Pictures:
    """Labelled pictures to try backbones on.

    Attributes:
        records: Readable ones.
        class_names: Sorted.
        unit_of: Id of a picture -> what must stay in one fold with it.
        workers: Decoding threads.
        seed: Of the folds.
    """

    records: tuple[ImageRecord, ...]
    class_names: tuple[str, ...]
    unit_of: dict[str, str]
    workers: int
    seed: int

    def targets(self, records: Sequence[ImageRecord]) -> dict[str, Any]:
        """Return what a probe is fitted to: labels, their number, units and seed."""
        position = {name: index for index, name in enumerate(self.class_names)}
        return {
            "labels": np.array([position[record.label or ""] for record in records]),
            "classes": len(self.class_names),
            "units": [self.unit_of[record.id] for record in records],
            "seed": self.seed,
        }


def compare_backbones(settings: BackboneSettings) -> None:
    """Print the table, and write it where that is asked for.

    Raises:
        UserError: No backbone or no picture is what was asked for, or a file cannot be written.
    """
    for path in filter(None, (settings.out, settings.json)):
        require_writable(path)
    entries = _chosen(settings)
    pictures = _pictures(settings) if settings.root is not None else None
    rows = _described(entries, speed=settings.speed)
    tried_on = None
    if pictures is not None:
        rows = [*_tried(entries, rows, pictures), _floor(pictures)]
        tried_on = f"{len(pictures.records):,} pictures of {', '.join(pictures.class_names)}"
    rows = sort_rows(rows, settings.sort or ("log_loss" if pictures else "parameters"))
    show_backbones(rows, speed=settings.speed, tried_on=tried_on)
    write_backbones(rows, csv_path=settings.out, json_path=settings.json)


def _chosen(settings: BackboneSettings) -> list[Entry]:
    files, strange = identify_files(settings.weights)
    if strange:
        say(f"warning: {len(strange)} weight files are of no known backbone, such as {strange[0]}")
    entries = find_entries(settings.pattern, files)
    if len(entries) > settings.limit:
        entries = sorted(entries, key=lambda entry: (entry.weights is None, -(entry.top1 or 0)))
        say(f"{settings.limit} of {len(entries):,} backbones (--limit): those at hand, then ImageNet's best")
    return entries[: settings.limit]


def _pictures(settings: BackboneSettings) -> Pictures:
    root, group_by, seed = settings.root or "", settings.group_by, settings.seed
    classes = len(find_labelled(root, group_by=group_by).class_names)
    limit = max(_LEAST_OF_A_CLASS, _MOST_PICTURES // classes)
    limit = min(limit, limit if settings.limit_per_class is None else settings.limit_per_class)
    layout = find_labelled(root, group_by=group_by, limit_per_class=limit, seed=seed)
    workers = decoding_workers(settings.workers)
    with progress("auditing", len(layout.records)) as advance:
        report = audit(layout.records, workers=workers, advance=advance)
    records = tuple(report.readable(layout.records))
    names = unit_names(records, report.ties)
    unit_of = {record.id: name for record, name in zip(records, names, strict=True)}
    return Pictures(records, layout.class_names, unit_of, workers, seed)


def _described(entries: Sequence[Entry], *, speed: bool) -> list[BackboneRow]:
    rows = []
    with progress("timing" if speed else "counting", len(entries)) as advance:
        for entry in entries:
            measured = size(entry)
            rows.append(
                BackboneRow(
                    name=entry.name,
                    parameters=measured.parameters,
                    input_px=measured.input_px,
                    imagenet_top1=entry.top1,
                    license=entry.license,
                    weights=entry.weights or (NOT_AT_HAND if entry.downloadable else NO_WEIGHTS),
                    pictures_per_s=_speed(entry) if speed else None,
                )
            )
            advance(1)
    return rows


def _classifier(name: str, weights: str) -> tuple[ImageClassifier, PreprocessSpec]:
    with without_network():
        backbone, spec = create_backbone(name, weights, framing="square")
    return ImageClassifier(backbone, build_head(feature_width(backbone), 2, HeadSpec()), spec), spec


def _speed(entry: Entry) -> float | None:
    """Return pictures a second of the network in its faster precision; None where it cannot run here."""
    try:
        return _pictures_per_s(entry)
    except RuntimeError as error:  # too little memory, or an operation that this device does not have
        say(f"warning: {entry.name} cannot be timed here: {str(error).strip().partition(chr(10))[0][:160]}")
        return None


def _pictures_per_s(entry: Entry) -> float:
    """Time the network with random weights: their values do not matter."""
    classifier, spec = _classifier(entry.name, RANDOM)
    device = best_device()
    pixels = np.zeros((Execution().batch_size, spec.height_px, spec.width_px, 3), dtype=np.uint8)
    precisions = PRECISIONS if has_bf16(device) else PRECISIONS[:1]
    runners = (Runner(classifier, Execution(device=device, precision=precision)) for precision in precisions)
    return len(pixels) / min(_seconds(runner, pixels) for runner in runners)


def _seconds(runner: Runner, pixels: Pixels) -> float:
    """Return the median time of a batch; a slow network is timed once, after one batch to warm up."""
    runner.features(pixels)
    seconds: list[float] = []
    while len(seconds) < _TRIAL_ROUNDS and sum(seconds) < _TRIAL_S:
        started = time.perf_counter()
        runner.features(pixels)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def _tried(entries: Sequence[Entry], rows: Sequence[BackboneRow], pictures: Pictures) -> list[BackboneRow]:
    """Add the quality of a linear probe where the weights are at hand."""
    tried = []
    for entry, row in zip(entries, rows, strict=True):
        try:
            quality = _probed(entry.name, entry.weights, pictures) if entry.weights else None
        except ModelError as error:
            # One bad file must not cost the others' results.
            say(f"warning: {entry.name} is not tried on the pictures: {error}")
            quality = None
        tried.append(replace(row, quality=quality))
    return tried


def _probed(name: str, weights: str, pictures: Pictures) -> Quality | None:
    """Return the quality of logistic regression on the backbone's top features."""
    classifier, spec = _classifier(name, weights)
    stages = (Stage(TOP, spec.height_px, feature_width(classifier.backbone)),)
    extractor = open_extractor(
        classifier.backbone,
        name,
        spec,
        stages,
        fastest_execution(classifier, spec, name),
        pictures=len(pictures.records),
    )
    with progress(f"{name}: features", len(pictures.records)) as advance:
        features = extract_features(
            extractor,
            pictures.records,
            spec,
            stages,
            space=feature_space(classifier.backbone, name, spec, extractor),
            cache=FeatureCache(),
            workers=pictures.workers,
            advance=advance,
        )
    targets = pictures.targets(features.records)
    probe = fit_linear_probe(features.values, **targets)
    return _quality(probe.held_out_logits / probe.temperature, probe.held_out_labels, targets["units"])


def _floor(pictures: Pictures) -> BackboneRow:
    """Return the row of the pipeline of before deep learning."""
    with progress(f"{FLOOR}: features", len(pictures.records)) as advance:
        records, features = floor_features(pictures.records, workers=pictures.workers, advance=advance)
    targets = pictures.targets(records)
    probe = fit_kernel_probe(features, kernel="rbf", **targets)
    quality = _quality(probe.held_out_logits, probe.held_out_labels, targets["units"])
    return BackboneRow(FLOOR, input_px=FLOOR_SPEC.height_px, quality=quality)


def _quality(logits: FloatArray, labels: IntArray, units: Sequence[str]) -> Quality | None:
    """Judge calibrated out-of-fold logits (N, C); None where there were too few pictures for folds."""
    if len(labels) != len(units):
        say("warning: too few pictures of a class, or groups, for cross-validation")
        return None
    right = (logits.argmax(axis=1) == labels).astype(np.float64)
    losses = log_losses(logits, labels)
    return Quality(
        float(right.mean()),
        _standard_error(right, units),
        float(losses.mean()),
        _standard_error(losses, units),
    )


def _standard_error(values: FloatArray, units: Sequence[str]) -> float:
    """Return the standard error of a mean whose terms depend on each other within a unit.

    Source: the cluster-robust variance of a mean, with G / (G - 1) for G units.
    """
    codes = np.unique(np.asarray(units, dtype=object).astype(str), return_inverse=True)[1]
    sums = np.bincount(codes, weights=values - values.mean())
    count = len(sums)
    return float(np.sqrt((sums**2).sum() * count / max(count - 1, 1)) / len(values))
