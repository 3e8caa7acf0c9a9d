"""Robustness: a model on corrupted, moved and attacked pictures, beside the same pictures as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from catsdogs.core.errors import ConfigError, DataError
from catsdogs.core.files import require_writable, write_json
from catsdogs.core.robustnessreport import RobustnessReport
from catsdogs.data.layouts import labels_of
from catsdogs.data.stratified import stratified
from catsdogs.models.modelcard import ModelCard, load_card
from catsdogs.reporting.console import say
from catsdogs.reporting.figures import save_figure
from catsdogs.reporting.robustnessfigures import draw_robustness
from catsdogs.reporting.robustnesswords import show_robustness
from catsdogs.workflows.applyoptions import DEFAULTS, ApplyOptions, open_predictor
from catsdogs.workflows.evaluate import default_folder, labelled_records, say_flattered
from catsdogs.workflows.runfolder import RunFolder
from catsdogs.workflows.seen import leave_out_seen
from catsdogs.workflows.stressing.measurements import (
    Part,
    Pictures,
    attacker_of,
    measure_attacks,
    measure_corruptions,
    measure_shifts,
)
from catsdogs.workflows.workers import decoding_workers

CORRUPTIONS, SHIFTS, ATTACKS = KINDS = ("corruptions", "shifts", "attacks")
LIMIT = 500


def measure_robustness(
    checkpoint: Path,
    options: ApplyOptions = DEFAULTS,
    *,
    input_path: str | None = None,
    split: str = "test",
    limit: int = LIMIT,
    kinds: Sequence[str] = KINDS,
    out: Path | None = None,
    seed: int = 0,
) -> RobustnessReport:
    """Measure what changed pictures do to the answers; write ``robustness.json``, a figure and sheets.

    Args:
        checkpoint: Run folder or model folder.
        options: How the model is applied to corrupted and moved pictures: one view, one process. Attacks need
            gradients and are always made in torch and float32.
        input_path: Labelled pictures from outside the run; without it the run's own ``split``.
        split: ``test``, ``val`` or ``train``.
        limit: Most pictures; drawn so that classes keep their shares.
        kinds: Of ``KINDS``.
        out: Where the files go; by default the folder of the evaluation of the same pictures.
        seed: Of the draw, of noise and of resampled intervals.

    Raises:
        UserError: The model, the pictures, the settings or the place for the results cannot be used.
    """
    card = load_card(checkpoint)
    options.check(card)
    _refuse(options, kinds)
    pictures, of = _pictures(checkpoint, card, options, input_path, split, limit, seed)
    folder = out or default_folder(checkpoint, input_path, split, options)
    require_writable(folder / "robustness.json")
    # Before the long work: this may be what cannot be had.
    attacker = attacker_of(checkpoint) if ATTACKS in kinds else None
    if input_path is None:
        say_flattered(RunFolder(checkpoint), split)
    engine = None if set(kinds) == {ATTACKS} else open_predictor(checkpoint, options).engine
    corruptions = shifts = attacks = None
    if engine is not None and CORRUPTIONS in kinds:
        corruptions = measure_corruptions(engine, card, pictures, seed=seed)
    if engine is not None and SHIFTS in kinds:
        shifts = measure_shifts(engine, card, pictures, seed=seed)
    if attacker is not None:
        attacks = measure_attacks(attacker, card, pictures)
    parts: dict[str, Part[Any] | None] = dict(zip(KINDS, (corruptions, shifts, attacks), strict=True))
    n = min(len(part.answers) for part in parts.values() if part is not None)
    report = RobustnessReport(
        split="input" if input_path else split,
        n=n,
        n_unreadable=len(pictures.records) - n,
        of=of,
        class_names=card.class_names,
        seed=seed,
        engine=None if engine is None else f"{engine.name} {engine.precision}",
        corruptions=None if corruptions is None else corruptions.report,
        shifts=None if shifts is None else shifts.report,
        attacks=None if attacks is None else attacks.report,
        checks=tuple(check for part in parts.values() if part is not None for check in part.checks),
    )
    _write(report, {kind: part.sheet for kind, part in parts.items() if part is not None}, folder)
    return report


def parse_kinds(words: str) -> tuple[str, ...]:
    """Return the kinds that a word such as ``corruptions,shifts`` names, in the usual order.

    Raises:
        ConfigError: One is unknown, or there is none.
    """
    named = [word.strip() for word in words.split(",") if word.strip()]
    unknown = [word for word in named if word not in KINDS]
    if unknown or not named:
        raise ConfigError(f"--kinds {words!r}: choose of {', '.join(KINDS)}")
    return tuple(kind for kind in KINDS if kind in named)


def _refuse(options: ApplyOptions, kinds: Sequence[str]) -> None:
    if options.devices != 1:
        raise ConfigError("robustness is measured in one process: leave out --devices")
    if options.tta != DEFAULTS.tta:
        raise ConfigError("robustness is measured with the plain view: leave out --tta")
    parse_kinds(",".join(kinds))


def _pictures(
    checkpoint: Path,
    card: ModelCard,
    options: ApplyOptions,
    input_path: str | None,
    split: str,
    limit: int,
    seed: int,
) -> tuple[Pictures, int]:
    """Return the pictures to measure on, and how many there were to draw from."""
    known = leave_out_seen(labelled_records(checkpoint, input_path, split, card.class_names), card)
    if not known:
        raise DataError("the embedded model has learned from all of these pictures: they cannot judge it")
    records = stratified(known, limit, seed=seed)
    labels = tuple(labels_of(records, card.class_names))
    return Pictures(records, labels, decoding_workers(options.workers)), len(known)


def _write(report: RobustnessReport, sheets: Mapping[str, Figure | None], folder: Path) -> None:
    write_json(folder / "robustness.json", report.to_dict())
    save_figure(draw_robustness(report), folder / "robustness.png")
    names = ["robustness.json", "robustness.png"]
    for kind, sheet in sheets.items():
        if sheet is not None:
            names.append(f"robustness-{kind}.png")
            save_figure(sheet, folder / names[-1])
    show_robustness(report)
    say(f"written to {folder}: {', '.join(names)}")
