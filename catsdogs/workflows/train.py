"""Train: prepare, fit, finish; or take up a run where it was interrupted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from catsdogs.core.errors import UserError
from catsdogs.core.files import write_json
from catsdogs.core.metricsfile import read_metrics
from catsdogs.core.predictions import Predictions
from catsdogs.core.records import ImageRecord
from catsdogs.core.temperature import fit_temperature
from catsdogs.data.balance import rare_classes
from catsdogs.data.layouts import labels_of
from catsdogs.data.splits import read_split
from catsdogs.evaluation.judge import evaluate
from catsdogs.models.familiar import load_familiarity
from catsdogs.models.modelcard import load_card
from catsdogs.models.modelfile import save_familiarity, save_temperature
from catsdogs.reporting.console import figure_text, progress, say, say_nothing
from catsdogs.reporting.figures import save_figure
from catsdogs.reporting.watchfigures import draw_watch
from catsdogs.transfer.strategies import AUTO, find_strategy
from catsdogs.workflows.applying import apply
from catsdogs.workflows.corrections import Corrections, say_raw_labels, with_raw_labels
from catsdogs.workflows.diagnose import diagnose_run
from catsdogs.workflows.evaluate import write_report
from catsdogs.workflows.familiarity import familiar_to_model, look
from catsdogs.workflows.interpolating import interpolate
from catsdogs.workflows.labels import check_run_labels
from catsdogs.workflows.processes import process_rank, wait_for
from catsdogs.workflows.report import write_page
from catsdogs.workflows.runfolder import RunFolder, open_run
from catsdogs.workflows.seen import leave_out_seen
from catsdogs.workflows.settings import TrainSettings
from catsdogs.workflows.settingsfile import read_settings, settings_text
from catsdogs.workflows.slicing import audit_of, write_slices


def train(settings: TrainSettings, path: Path) -> None:
    """Start a run in a new folder and carry it to its end.

    Raises:
        UserError: The folder, the pictures, the backbone or the settings do not allow it.
    """
    run = RunFolder(path)
    if settings.transfer.strategy != AUTO:
        find_strategy(settings.transfer.strategy)
    if process_rank() == 0:
        run.create(settings_text(settings))
    try:
        _carry_on(settings, run)
    except UserError:
        if process_rank() == 0 and not run.plan.exists():
            run.discard()
        raise


def resume(path: Path, *, also: Sequence[Any] = ()) -> None:
    """Carry an interrupted run to its end, from its last whole epoch; nothing is measured again.

    Args:
        path: Of the run.
        also: Callbacks for the epochs beside the run's own, as ``fit`` takes them.

    Raises:
        ConfigError: There is no such run, or it is complete.
    """
    run = open_run(path)
    if run.summary.exists():
        say(f"{run.path} is complete; there is nothing to resume")
        return
    _carry_on(read_settings(run), run, also)


def _carry_on(settings: TrainSettings, run: RunFolder, also: Sequence[Any] = ()) -> None:
    first = process_rank() == 0
    if not run.plan.exists():
        if first:
            from catsdogs.workflows.prepare import prepare

            prepare(settings, run)
        else:
            wait_for(run.plan)
    if "recipe" in run.read_plan():
        from catsdogs.workflows.fit import fit

        first = fit(settings, run, say if first else say_nothing, also=also)
    if first:
        _finish(settings, run)


def _finish(settings: TrainSettings, run: RunFolder) -> None:
    """Fit the temperature, judge the best model on the test pictures, diagnose the curves, sum up."""
    plan = run.read_plan()
    learnt: dict[str, Any] = {}
    if "recipe" in plan:
        records = read_split(run.split)
        learned, held_out = ([one for one in records if one.split == name] for name in ("train", "val"))
        interpolate(run, held_out)
        if held_out:
            _learn_from_held_out(run, learned, held_out)
        diagnosis = diagnose_run(run)
        say(f"diagnosis: {diagnosis.sentence}")
        learnt = {"diagnosis": diagnosis.to_dict()}
        if run.watch.exists():
            save_figure(draw_watch(read_metrics(run.watch)), run.watch_figure)
    figures = _judge_tests(settings, run)
    check_run_labels(run, seed=settings.seed)
    card = load_card(run.model)
    summary = {"strategy": plan["strategy"], "temperature": card.temperature, "training": dict(card.training)}
    write_json(run.summary, {**summary, **learnt, "test": figures})
    page = write_page([run.path], short=True)
    say(f"done: {run.path} (model in {run.model}; {page} tells it all)")


def _judge_tests(settings: TrainSettings, run: RunFolder) -> dict[str, Any]:
    """Judge the best model on the test pictures and return the figures; none where there are no pictures."""
    records = read_split(run.split)
    corrections = Corrections.load(run.corrections)
    removed = [record for record in corrections.removed if record.split == "test"]
    asked = [record for record in (*records, *removed) if record.split == "test"]
    tests = leave_out_seen(asked, load_card(run.model))
    corrections = corrections.among(record.id for record in tests)
    if len(tests) <= len(corrections.removed):
        return {}
    predictions, raw = corrections.divide(_predict(run, tests, "test"))
    report = evaluate(predictions, split="test", tta="none", seed=settings.seed)
    report = with_raw_labels(report, raw, corrections, seed=settings.seed)
    write_report(report, predictions, run.path)
    learned = [record for record in records if record.split == "train"]
    kept = corrections.apply(tests)
    write_slices(run.path, predictions, kept, audit=audit_of(run), training=learned, seed=settings.seed)
    # Where a class is rare, never calling it by its name is accurate.
    rare = rare_classes(Counter(record.label or "" for record in learned))
    for name in ("accuracy", *(["balanced_accuracy"] if rare else []), "log_loss"):
        say(f"test {name.replace('_', ' ')}: {figure_text(name, report.metrics[name])}")
    say_raw_labels(report)
    figures: dict[str, Any] = report.to_dict()["metrics"]
    return figures


def _learn_from_held_out(
    run: RunFolder, learned: Sequence[ImageRecord], held_out: Sequence[ImageRecord]
) -> None:
    """Fit the temperature on the validation pictures, and learn what is familiar."""
    said, features = look(run.path, held_out, "val")
    _calibrate(run, said.scorable())
    familiarity = load_familiarity(run.start) or familiar_to_model(run.path, learned, features)
    if familiarity is not None:
        save_familiarity(run.model, familiarity)


def _calibrate(run: RunFolder, scored: Predictions) -> None:
    before = load_card(run.model).temperature
    temperature = fit_temperature(scored.logits * before, scored.labels)
    save_temperature(run.model, temperature)
    calibrated = replace(scored, logits=scored.logits * before / temperature)
    calibrated.save(run.validation)
    say(f"temperature: {temperature:.2f}, fitted on {len(scored):,} validation pictures")


def _predict(run: RunFolder, records: Sequence[ImageRecord], what: str) -> Predictions:
    class_names = load_card(run.model).class_names
    with progress(f"predicting {what}", len(records)) as advance:
        applied = apply(run.path, records, advance=advance)
    assert applied is not None
    return applied.predictions.with_labels(labels_of(records, class_names))
