"""k-fold cross-validation: as many runs as folds, and each picture judged by the run that has not seen it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from catsdogs.core.errors import UserError
from catsdogs.core.files import write_json
from catsdogs.core.predictions import Predictions
from catsdogs.core.records import ImageRecord
from catsdogs.core.report import EvaluationReport
from catsdogs.data.folds import fold_numbers, hold_out
from catsdogs.evaluation.judge import evaluate
from catsdogs.evaluation.repeats import Spread, pool
from catsdogs.inference.writers import write_predictions
from catsdogs.reporting.console import say
from catsdogs.reporting.repeats import show_folds
from catsdogs.workflows.corrections import say_raw_labels, with_raw_labels
from catsdogs.workflows.settings import TrainSettings
from catsdogs.workflows.tuning.members import Members, Order


def cross_validate(settings: TrainSettings, path: Path, *, folds: int, include_test: bool = False) -> None:
    """Train and judge one run a fold; write ``cv.json`` and the out-of-fold ``predictions.csv``.

    Folds that are whole are taken as they are, one that was interrupted goes on.

    Args:
        settings: Of every run. Each chooses, validates and calibrates inside its own training pictures.
        path: Folder of it all.
        folds: How many.
        include_test: Whether the pictures that a run of these settings would be tested on have a part in it.

    Raises:
        UserError: The pictures or the settings do not allow it.
    """
    members = Members(path)
    order = Order("kfold", {"folds": folds, "include_test": include_test}, settings)
    records = members.begin(order)
    used = [record for record in records if include_test or record.split != "test"]
    try:
        numbers = fold_numbers(used, folds=folds, seed=settings.seed, tie=members.ties)
    except UserError:
        members.discard_if_alone()
        raise
    kept = len(records) - len(used)
    aside = f"; the {kept:,} test pictures stay aside" if kept else ""
    say(f"{folds} folds of {len(used):,} pictures{aside}")
    results, parts = [], []
    for number in range(folds):
        held = {record.id for record, fold in zip(used, numbers, strict=True) if fold == number}
        say(f"fold {number + 1} of {folds}: {len(used) - len(held):,} to learn from, {len(held):,} held out")
        result, predictions = _judged(members, settings, used, held, number)
        results.append(result)
        parts.append(predictions)
    _conclude(members, results, pool(parts), settings.seed)


def _judged(
    members: Members, settings: TrainSettings, used: list[ImageRecord], held: set[str], number: int
) -> tuple[dict[str, Any], Predictions]:
    """Complete one fold; return its figures and its predictions of the pictures that were held out."""
    records = hold_out(
        used, held, val_fraction=settings.data.val_fraction, seed=settings.seed, tie=members.ties
    )
    run = members.complete(f"fold-{number + 1}", settings, records)
    report = EvaluationReport.load(run.path / "evaluation.json")
    summary = json.loads(run.summary.read_text(encoding="utf-8"))
    figures = report.to_dict()["metrics"]
    result = {"fold": number + 1, "n": report.n, "strategy": summary["strategy"], "metrics": figures}
    return result, Predictions.load(run.path / "predictions.npz")


def _conclude(members: Members, results: list[dict[str, Any]], predictions: Predictions, seed: int) -> None:
    path = members.path
    report = evaluate(predictions, split="out-of-fold", tta="none", seed=seed)
    corrections = members.corrections.among(predictions.ids)
    _, raw = corrections.divide(predictions)
    report = with_raw_labels(report, raw, corrections, seed=seed)
    spread = spread_of([result["metrics"] for result in results])
    write_predictions(path / "predictions.csv", predictions)
    written = {name: one.to_dict() for name, one in spread.items()}
    write_json(path / "cv.json", {"folds": results, "spread": written, "pooled": report.to_dict()})
    show_folds(results, spread, report)
    say_raw_labels(report)
    say(f"written to {path}: cv.json, predictions.csv (each picture by the run that had not seen it)")


def spread_of(runs: list[dict[str, Any]]) -> dict[str, Spread]:
    """Return the spread of every figure that each run defines.

    Args:
        runs: Name -> ``value``, of one run each, as ``evaluation.json`` has them under ``metrics``.
    """
    return {
        name: Spread.of([run[name]["value"] for run in runs])
        for name in runs[0]
        if all(run.get(name, {}).get("value") is not None for run in runs)
    }
