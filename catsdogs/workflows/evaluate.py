"""Evaluate: a model on its own test pictures, or on any labelled ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from catsdogs.core.errors import ConfigError, DataError
from catsdogs.core.files import require_writable, write_json
from catsdogs.core.predictions import Predictions
from catsdogs.core.records import ImageRecord
from catsdogs.core.report import EvaluationReport
from catsdogs.data.layouts import find_labelled, labels_of
from catsdogs.data.splits import SPLITS, read_split
from catsdogs.evaluation.judge import evaluate as report_on
from catsdogs.inference.writers import write_predictions
from catsdogs.models.embedded import is_embedded
from catsdogs.models.modelcard import find_model, load_card
from catsdogs.reporting.console import progress, say, show_report
from catsdogs.workflows.applying import apply
from catsdogs.workflows.gallery import write_gallery
from catsdogs.workflows.runfolder import RunFolder
from catsdogs.workflows.seen import leave_out_seen


def evaluate(
    checkpoint: Path,
    *,
    input_path: str | None = None,
    split: str = "test",
    tta: str = "none",
    out: Path | None = None,
    engine: str = "auto",
    precision: str = "auto",
    devices: int = 1,
    seed: int = 0,
) -> EvaluationReport | None:
    """Judge a model, show the figures and write ``evaluation.json`` and ``predictions.csv``.

    Args:
        checkpoint: Run folder or model folder.
        input_path: Labelled pictures from outside the run; without it the run's own ``split`` is judged.
        split: ``test``, ``val`` or ``train``.
        tta: The views to merge.
        out: Where the files go; by default the run folder, or a folder in it named after the input.
        engine: ``auto``, ``torch``, ``compile``, ``onnxruntime`` or ``openvino``.
        precision: ``auto``, ``fp32`` or ``bf16``.
        devices: Processes or GPUs that share the pictures.
        seed: Of the bootstrap intervals.

    Returns:
        The report; None in every process but the first.

    Raises:
        UserError: The model, the pictures or the place for the results cannot be used.
    """
    card = load_card(checkpoint)
    class_names = card.class_names
    records = leave_out_seen(labelled_records(checkpoint, input_path, split, class_names), card)
    if not records:
        raise DataError("the embedded model has learned from all of these pictures: they cannot judge it")
    labels = labels_of(records, class_names)
    if input_path is None and split in _learned_from(RunFolder(checkpoint)):
        say(f"warning: the model has learned from the {split} pictures; these figures flatter it")
    folder = out or _default_folder(checkpoint, input_path)
    require_writable(folder / "evaluation.json")
    with progress("evaluating", len(records)) as advance:
        predictions = apply(
            checkpoint,
            records,
            tta=tta,
            engine=engine,
            precision=precision,
            devices=devices,
            advance=advance,
        )
    if predictions is None:
        return None
    report = judge(
        predictions.with_labels(labels), folder, split="input" if input_path else split, tta=tta, seed=seed
    )
    write_gallery(folder / "gallery.png", predictions.with_labels(labels), records)
    show_report(report)
    say(f"written to {folder}: evaluation.json, predictions.csv, gallery.png")
    return report


def labelled_records(
    checkpoint: Path, input_path: str | None, split: str, class_names: Sequence[str]
) -> tuple[ImageRecord, ...]:
    """Return the labelled pictures of the input, or of a split of the run that the model comes from.

    Raises:
        DataError: The input has no labels, or a class that the model does not know.
        ConfigError: There is no such split, or no pictures in it.
    """
    if input_path is not None:
        return find_labelled(input_path, known_classes=class_names).records
    if split not in SPLITS:
        raise ConfigError(f"split {split!r} is not one of {', '.join(SPLITS)}")
    run = RunFolder(checkpoint)
    if not run.split.is_file():
        raise ConfigError(f"{run.path} has no split.csv: give a run folder, or pictures with --input")
    records = tuple(record for record in read_split(run.split) if record.split == split)
    if not records:
        raise ConfigError(f"{run.path} has no {split} pictures; choose another --split or give --input")
    return records


def _learned_from(run: RunFolder) -> list[str]:
    """Return the splits that a run's weights come from."""
    return ["train", *run.read_plan().get("fitted_on", [])] if run.plan.exists() else ["train"]


def judge(predictions: Predictions, folder: Path, *, split: str, tta: str, seed: int) -> EvaluationReport:
    """Turn predictions into a report and write both."""
    report = report_on(predictions, split=split, tta=tta, seed=seed)
    write_json(folder / "evaluation.json", report.to_dict())
    write_predictions(folder / "predictions.csv", predictions)
    return report


def _default_folder(checkpoint: Path, input_path: str | None) -> Path:
    model = find_model(checkpoint)
    home = model.parent if model.name == "model" else model
    if input_path is None:
        return home
    name = f"evaluation-{Path(input_path).stem or 'input'}"
    return Path(name) if is_embedded(checkpoint) else home / name
