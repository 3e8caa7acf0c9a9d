"""Evaluate: a model on its own test pictures, or on any labelled ones."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from catsdogs.core.columns import Column
from catsdogs.core.computation import TORCH
from catsdogs.core.errors import ConfigError, DataError
from catsdogs.core.files import require_writable, write_json
from catsdogs.core.predictions import Predictions
from catsdogs.core.records import ImageRecord
from catsdogs.core.report import EvaluationReport
from catsdogs.core.viewsreport import ViewsReport
from catsdogs.core.viewweights import ViewWeights
from catsdogs.data.layouts import find_labelled, labels_of
from catsdogs.data.splits import SPLITS, read_split
from catsdogs.data.stores import is_drawn
from catsdogs.data.views import parse_views, plain_among
from catsdogs.evaluation.judge import evaluate as report_on
from catsdogs.evaluation.views import compare_views
from catsdogs.inference.predictor import AUTO
from catsdogs.inference.writers import write_predictions
from catsdogs.models.embedded import is_embedded
from catsdogs.models.modelcard import ModelCard, find_model, load_card
from catsdogs.reporting.console import progress, say, show_report
from catsdogs.workflows.applying import Applied, apply
from catsdogs.workflows.applyoptions import DEFAULTS, ApplyOptions
from catsdogs.workflows.corrections import Corrections, read_corrections, say_raw_labels, with_raw_labels
from catsdogs.workflows.gallery import write_gallery
from catsdogs.workflows.runfolder import RunFolder
from catsdogs.workflows.seen import leave_out_seen
from catsdogs.workflows.slicing import audit_of, user_columns, write_slices


def evaluate(
    checkpoint: Path,
    options: ApplyOptions = DEFAULTS,
    *,
    input_path: str | None = None,
    split: str = "test",
    out: Path | None = None,
    slices: str | None = None,
    corrections_path: str | None = None,
    seed: int = 0,
) -> EvaluationReport | None:
    """Judge a model, show the figures and write ``evaluation.json``, ``slices.json`` and ``predictions.csv``.

    Args:
        checkpoint: Run folder or model folder.
        options: How the model is applied.
        input_path: Labelled pictures from outside the run; without it the run's own ``split`` is judged.
        split: ``test``, ``val`` or ``train``.
        out: Where the files go; by default the run folder for its plain test figures, and for others a folder
            in it named after split or input and views.
        slices: CSV with a ``path`` and further columns, whose values make slices as well.
        corrections_path: A ``labels.csv`` that somebody has edited. It, and what the run was given, changes
            labels and leaves pictures out; figures on the labels as given are reported too.
        seed: Of the bootstrap intervals.

    Returns:
        The report; None in every process but the first.

    Raises:
        UserError: The model, the pictures or the place for the results cannot be used.
    """
    card = load_card(checkpoint)
    options.check(card)
    records, corrections = _corrected(checkpoint, input_path, split, card.class_names, corrections_path)
    records = leave_out_seen(records, card)
    corrections = corrections.among(record.id for record in records)
    if not records:
        raise DataError("the embedded model has learned from all of these pictures: they cannot judge it")
    labels = labels_of(records, card.class_names)
    extra = user_columns(slices, records)
    learned = _learned_weights(card, options)
    if input_path is None:
        say_flattered(RunFolder(checkpoint), split)
    if learned is not None:
        _say_flattering_weights(learned, "input" if input_path else split)
    folder = out or default_folder(checkpoint, input_path, split, options)
    require_writable(folder / "evaluation.json")
    applied = _predict(checkpoint, records, options)
    views = parse_views(options.tta, card.preprocess)
    plain = None
    if views[0].dense_px:
        # A pass of its own, in every process: the plain view has another size than dense ones.
        alone = replace(options, tta=DEFAULTS.tta, merge=DEFAULTS.merge, engine=TORCH)
        plain = _predict(checkpoint, records, alone)
    if applied is None:
        return None
    predictions = applied.predictions.with_labels(labels)
    if plain is not None and predictions.views is not None:
        predictions = replace(predictions, views=replace(predictions.views, plain=plain.predictions.logits))
    predictions, raw = corrections.divide(predictions)
    report = report_on(predictions, split="input" if input_path else split, tta=options.tta, seed=seed)
    report = replace(report, engine=f"{applied.engine} {applied.precision}", pictures=input_path)
    report = with_raw_labels(report, raw, corrections, seed=seed)
    if predictions.views is not None:
        apart = plain is None and plain_among(views, card.preprocess) is None
        compared = _compare_views(predictions, options, learned, applied, len(views) + apart, seed)
        report = replace(report, views=compared)
    write_report(report, predictions, folder)
    known = set(predictions.ids)
    kept = tuple(record for record in records if record.id in known)
    write_gallery(folder / "gallery.png", predictions, kept)
    show_report(report)
    say_raw_labels(report)
    _write_slices(folder, predictions, kept, checkpoint if input_path is None else None, extra, seed)
    say(f"written to {folder}: evaluation.json, slices.json, predictions.csv, gallery.png")
    return report


def _compare_views(
    predictions: Predictions,
    options: ApplyOptions,
    learned: ViewWeights | None,
    applied: Applied,
    computed: int,
    seed: int,
) -> ViewsReport:
    """Return what the views have changed; ``computed`` of them were asked of the network."""
    assert predictions.views is not None
    return compare_views(
        predictions,
        merge=_told(options.merge, learned),
        weights=learned.order(predictions.views.names) if learned else None,
        picture_s=applied.picture_s,
        computed=computed,
        seed=seed,
    )


def _write_slices(
    folder: Path,
    predictions: Predictions,
    records: Sequence[ImageRecord],
    checkpoint: Path | None,
    extra: Sequence[Column],
    seed: int,
) -> None:
    """Write the slices of these pictures; of a run's own with what differs in those it has learned from."""
    training: list[ImageRecord] = []
    audit = None
    if checkpoint is not None:
        run = RunFolder(checkpoint)
        training = [record for record in read_split(run.split) if record.split == "train"]
        audit = audit_of(run)
    write_slices(folder, predictions, records, audit=audit, training=training, extra=extra, seed=seed)


def labelled_records(
    checkpoint: Path, input_path: str | None, split: str, class_names: Sequence[str]
) -> tuple[ImageRecord, ...]:
    """Return the labelled pictures of the input, or of a split of the run that the model comes from.

    Raises:
        DataError: The input has no labels, or a class that the model does not know.
        ConfigError: There is no such split, or no pictures in it.
    """
    if input_path is not None:
        layout = find_labelled(input_path, known_classes=class_names)
        for problem in layout.problems:
            say(f"warning: {problem}")
        return layout.records
    if split not in SPLITS:
        raise ConfigError(f"split {split!r} is not one of {', '.join(SPLITS)}")
    run = RunFolder(checkpoint)
    if not run.split.is_file():
        raise ConfigError(f"{run.path} has no split.csv: give a run folder, or pictures with --input")
    records = tuple(record for record in read_split(run.split) if record.split == split)
    if not records:
        raise ConfigError(f"{run.path} has no {split} pictures; choose another --split or give --input")
    return records


def _corrected(
    checkpoint: Path,
    input_path: str | None,
    split: str,
    class_names: Sequence[str],
    path: str | None,
) -> tuple[tuple[ImageRecord, ...], Corrections]:
    """Return the pictures with their right labels, those to be removed last, and what was corrected.

    Raises:
        UserError: There are no such pictures, or the file does not fit them.
    """
    records = labelled_records(checkpoint, input_path, split, class_names)
    made = Corrections.load(RunFolder(checkpoint).corrections) if input_path is None else Corrections()
    gone = {record.id: record for record in made.removed if record.split == split}
    records = (*records, *gone.values())
    given = made.undo(records)
    if path is not None:
        later = read_corrections(path, records, class_names, whole=False, removed=gone)
        made = made.and_then(later)
    made = made.among(record.id for record in records)
    kept = made.apply(given)
    if not kept:
        raise DataError(f"{path} removes every one of these pictures: there is nothing to evaluate")
    return (*kept, *made.removed), made


def _learned_weights(card: ModelCard, options: ApplyOptions) -> ViewWeights | None:
    if options.merge != AUTO:
        return None
    return card.weights_of([view.name for view in parse_views(options.tta, card.preprocess)])


def _told(merge: str, learned: ViewWeights | None) -> str:
    if learned is not None:
        return "mean with learned weights"
    return "mean" if merge == AUTO else merge


def _predict(checkpoint: Path, records: Sequence[ImageRecord], options: ApplyOptions) -> Applied | None:
    with progress("evaluating", len(records)) as advance:
        return apply(checkpoint, records, options, keep_views=options.tta != DEFAULTS.tta, advance=advance)


def say_flattered(run: RunFolder, split: str) -> None:
    """Tell where the model has learned from the very pictures that judge it."""
    if split in learned_from(run):
        say(f"warning: the model has learned from the {split} pictures; these figures flatter it")


def _say_flattering_weights(learned: ViewWeights, origin: str) -> None:
    """Tell where the weights of views have, or may have."""
    if learned.learned_on == origin == "input":
        say("warning: these views have weights from --input pictures; if from these, their gain flatters")
    elif learned.learned_on == origin:
        say(f"warning: the weights of these views were learned on the {origin} pictures; their gain flatters")


def learned_from(run: RunFolder) -> list[str]:
    """Return the splits that a run's weights come from."""
    return ["train", *run.read_plan().get("fitted_on", [])] if run.plan.exists() else ["train"]


def write_report(report: EvaluationReport, predictions: Predictions, folder: Path) -> None:
    """Write a report, and what it is about, into a folder."""
    write_json(folder / "evaluation.json", report.to_dict())
    write_predictions(folder / "predictions.csv", predictions)


def default_folder(checkpoint: Path, input_path: str | None, split: str, options: ApplyOptions) -> Path:
    """Return the run folder for what a run says of itself; anything else must not replace that."""
    model = find_model(checkpoint)
    home = model.parent if model.name == "model" else model
    words = [split if input_path is None else _folder_name(input_path)]
    words += [word for word in (options.tta, options.merge) if word not in (DEFAULTS.tta, DEFAULTS.merge)]
    if words == ["test"] and input_path is None:
        return home
    name = re.sub(r"[:,]", "_", "-".join(["evaluation", *words]))
    return Path(name) if is_embedded(checkpoint) else home / name


def _folder_name(input_path: str) -> str:
    """Return what an input is called in the name of a folder; others of the same file name differ."""
    place = input_path if is_drawn(input_path) else os.path.abspath(input_path)  # noqa: PTH100 - as it is typed
    digest = hashlib.sha256(os.fsencode(place)).hexdigest()[:4]
    stem = re.sub(r"[^\w.]+", "_", Path(place).stem)[:40]
    return f"{stem}-{digest}"
