"""Labels: which of them look wrong, as a list that a person edits and training takes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from catsdogs.core.errors import ConfigError, OutputError
from catsdogs.core.files import require_writable, write_json
from catsdogs.core.predictions import Predictions
from catsdogs.core.printable import printable
from catsdogs.core.records import ImageRecord
from catsdogs.data.audit import AuditReport
from catsdogs.data.layouts import names_of_classes
from catsdogs.data.splits import SPLITS, read_split
from catsdogs.evaluation.labelcheck import Conflict, LabelCheck, LabelDoubt, check_labels
from catsdogs.models.modelcard import load_card
from catsdogs.reporting.console import progress, say, table
from catsdogs.reporting.figures import save_figure
from catsdogs.reporting.sheets import Tile, draw_sheet
from catsdogs.workflows.corrections import Corrections
from catsdogs.workflows.labelfile import REMOVE, is_edited, write_labels
from catsdogs.workflows.runfolder import RunFolder, open_run
from catsdogs.workflows.seen import warn_of_seen
from catsdogs.workflows.thumbnails import square_thumbnail

_SHEET_PICTURES, _SHOWN_ROWS = 40, 10
_TILE_PX, _PER_ROW = 200, 5
_LEARNED = ("train", "val")
_MOST_IN_NAME = 26
_BESIDE = (".json", ".png")


@dataclass(frozen=True)
class OutOfSample:
    """What is said of pictures by models that have not learned from them.

    Attributes:
        predictions: With the labels that they have now.
        records: The pictures, and all others of the same data set.
        audit: Of the data set.
        corrections: What was corrected before.
        origin: Where the predictions come from, in words.
    """

    predictions: Predictions
    records: tuple[ImageRecord, ...]
    audit: AuditReport
    corrections: Corrections
    origin: str


def check_run_labels(run: RunFolder, *, seed: int = 0) -> LabelCheck | None:
    """Write ``labels.csv`` and ``labels.json`` of a run that has out-of-fold predictions, and say a line."""
    if not run.out_of_fold.is_file():
        return None
    check, _ = _write(_cross_validated_before(run), run.labels, seed=seed)
    if check.caution:
        say(f"labels: not to be judged by this model: {check.caution}")
    else:
        say(f"labels: {check.sentence}" + (f"; see {run.labels}" if check.suspected else ""))
    return check


def find_label_errors(
    checkpoint: Path, *, out: Path | None = None, everything: bool = False, seed: int = 0
) -> LabelCheck:
    """List the labels that look wrong; write the list, its figures and a sheet of the first pictures.

    What is out of sample is taken as it is: the folds of ``tune kfold``, or what the run kept of its probe's
    cross-validation. Where there is neither, or for all pictures, an SVM on cached features is
    cross-validated.

    Args:
        checkpoint: Folder of a run or of ``tune kfold``.
        out: The CSV; by default ``labels.csv`` in that folder.
        everything: Whether the test pictures, and what the run left out of cross-validation, are checked too.
        seed: Of folds and of the interval.

    Raises:
        UserError: There is no such run, its pictures cannot be read any more, or nothing can be written.
    """
    path = out or RunFolder(checkpoint).labels
    if path.suffix.lower() in _BESIDE:
        raise ConfigError(f"--out {path} names the CSV; its figures and its sheet lie beside it")
    if is_edited(path, earlier=_earlier(Corrections.load(RunFolder(checkpoint).corrections))):
        raise OutputError(f"{path} has been edited; keep it, and give --out another name")
    require_writable(path)
    found = _out_of_sample(checkpoint, everything)
    check, doubts = _write(found, path, seed=seed)
    sheet = path.with_suffix(".png")
    drawn = _draw(sheet, doubts[:_SHEET_PICTURES], found.records)
    _show(check, doubts)
    shown = f", {path.with_suffix('.json').name}" + (f", {sheet.name}" if drawn else "")
    say(
        f"written to {path}{shown}. Change the column 'label', or write 'remove' in it, and train with "
        f"--data.corrections {path}"
    )
    return check


def _out_of_sample(checkpoint: Path, everything: bool) -> OutOfSample:
    if (checkpoint / "cv.json").is_file():
        if everything:
            raise ConfigError("--all is for runs; tune kfold --include_test true judges every picture")
        return _of_folds(checkpoint)
    run = open_run(checkpoint)
    if not (run.split.is_file() and run.audit.is_file()):
        raise ConfigError(f"{run.path} has no split.csv yet: let the run come to its plan first")
    if run.out_of_fold.is_file() and not everything:
        found = _cross_validated_before(run)
        _warn_of_seen(run, found)
        return found
    return _cross_validated_now(run, SPLITS if everything else _LEARNED)


def _of_folds(path: Path) -> OutOfSample:
    run = RunFolder(path)
    said = Predictions.load(path / "predictions.npz")
    return _assembled(run, said, "runs that had the picture in their held-out fold")


def _cross_validated_before(run: RunFolder) -> OutOfSample:
    return _assembled(run, Predictions.load(run.out_of_fold), "cross-validation of the run's probe")


def _cross_validated_now(run: RunFolder, splits: Sequence[str]) -> OutOfSample:
    from catsdogs.transfer.outofsample import out_of_sample
    from catsdogs.workflows.prepare import study_of
    from catsdogs.workflows.settingsfile import read_settings

    records = read_split(run.split)
    class_names = names_of_classes(records)
    _, study = study_of(read_settings(run), class_names, records, run, splits=splits)
    with progress("cross-validating", len(study.labels)) as advance:
        said = out_of_sample(study, class_names, advance=advance)
    return _assembled(run, said, "cross-validation of an SVM on features")


def _assembled(run: RunFolder, said: Predictions, origin: str) -> OutOfSample:
    corrections = Corrections.load(run.corrections)
    return OutOfSample(said, read_split(run.split), AuditReport.load(run.audit), corrections, origin)


def _warn_of_seen(run: RunFolder, found: OutOfSample) -> None:
    """Tell where the weights below the probe have met the pictures before, with these labels."""
    if not (run.model / "model.json").is_file() or not load_card(run.model).embedded:
        return
    known = set(found.predictions.ids)
    warn_of_seen(
        [record for record in found.records if record.id in known], "errors among those are hard to see"
    )


def _write(found: OutOfSample, path: Path, *, seed: int) -> tuple[LabelCheck, tuple[LabelDoubt, ...]]:
    conflicts = conflicts_among(found.audit, found.records)
    check, doubts = check_labels(found.predictions, conflicts, origin=found.origin, seed=seed)
    write_labels(path, doubts, earlier=_earlier(found.corrections))
    write_json(path.with_suffix(".json"), check.to_dict())
    return check, doubts


def _earlier(corrections: Corrections) -> dict[str, tuple[str, str]]:
    """Return id -> the label that was given, and what was made of it."""
    return {id: (one.record.label or "", one.label or REMOVE) for id, one in corrections.by_id.items()}


def conflicts_among(audit: AuditReport, records: Sequence[ImageRecord]) -> dict[str, Conflict]:
    """Return which pictures have a duplicate with another label, as far as both are among the records."""
    labels = {record.id: record.label or "" for record in records}
    conflicts = {}
    for group in audit.conflicting_duplicates:
        members = [id for id in group if id in labels]
        for id in members:
            other = next((one for one in members if labels[one] != labels[id]), None)
            if other is not None:
                reason = f"same photo as {printable(other)}, called {labels[other]}"
                conflicts[id] = Conflict(labels[id], reason)
    return conflicts


def _draw(path: Path, doubts: Sequence[LabelDoubt], records: Sequence[ImageRecord]) -> bool:
    """Draw the first of the list with their captions; say whether there was anything to draw."""
    known = {record.id: record for record in records}
    tiles: list[Tile] = []
    for doubt in doubts:
        pixels = square_thumbnail(known[doubt.id], _TILE_PX) if doubt.id in known else None
        if pixels is None:
            continue  # it could be read once; the list has its row
        name = doubt.id if len(doubt.id) <= _MOST_IN_NAME else f"…{doubt.id[1 - _MOST_IN_NAME :]}"
        tiles.append(Tile(pixels, f"{len(tiles) + 1}. {name}\n{doubt.caption}"))
    if tiles:
        rows = [tiles[start : start + _PER_ROW] for start in range(0, len(tiles), _PER_ROW)]
        headings = [""] * len(rows[0])
        save_figure(draw_sheet("Labels to look at, the most doubtful first", headings, rows), path)
    return bool(tiles)


def _show(check: LabelCheck, doubts: Sequence[LabelDoubt]) -> None:
    def figure(value: float) -> str:
        return "-" if np.isnan(value) else f"{value:.3f}"

    rows = [
        (printable(one.id), one.given, figure(one.probability), one.reason)
        for one in doubts[:_SHOWN_ROWS]
        if one.suspected
    ]
    if rows:
        table("Labels to look at first", ("picture", "given", "probability", "reason"), rows)
    say(f"labels: {check.sentence}, by {check.origin}; {check.estimate}")
    _warn(check)


def _warn(check: LabelCheck) -> None:
    if check.suspected and check.caution:
        say(f"warning: {check.caution}")
