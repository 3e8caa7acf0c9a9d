"""Which slices of the pictures a model does worse on: looks at them, judges, writes ``slices.json``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from catsdogs.core.columns import Column
from catsdogs.core.errors import UserError
from catsdogs.core.files import write_json
from catsdogs.core.predictions import Predictions
from catsdogs.core.records import ImageRecord
from catsdogs.data.audit import AuditReport
from catsdogs.data.columns import columns_of
from catsdogs.data.inspection import inspect
from catsdogs.data.layouts import labels_of
from catsdogs.data.usercolumns import read_columns
from catsdogs.evaluation.association import ClassDifference, class_differences
from catsdogs.evaluation.slices import SlicesReport, find_slices
from catsdogs.reporting.console import progress, say
from catsdogs.workflows.runfolder import RunFolder
from catsdogs.workflows.workers import decoding_workers

SLICES = "slices.json"
_MOST_SAID = 3


def write_slices(
    folder: Path,
    predictions: Predictions,
    records: Sequence[ImageRecord],
    *,
    audit: AuditReport | None = None,
    training: Sequence[ImageRecord] = (),
    extra: Sequence[Column] = (),
    seed: int = 0,
) -> SlicesReport:
    """Write ``slices.json`` into a folder and say what was found.

    Args:
        folder: Of the evaluation.
        predictions: With labels.
        records: The same pictures.
        audit: Of the data set that they belong to; knows near duplicates as well as equal pictures.
        training: What the model has learned from, to tell how the classes differ there.
        extra: Columns of the user, one value a picture.
        seed: Of the permutations and intervals.
    """
    learned = _learned(training, predictions.class_names, audit, seed)
    seen = columns_for(records, audit)
    columns = [*seen, *_named_apart(extra, seen)]
    report = find_slices(predictions, columns, training=learned, seed=seed)
    write_json(folder / SLICES, report.to_dict())
    for difference in [one for one in report.training if one.telling][:_MOST_SAID]:
        say(f"warning: {difference.sentence()}: the model may have learned that")
    for one in report.found[:_MOST_SAID]:
        say(f"{'bias' if one.bias else 'slice'}: {one.sentence()}")
    if len(report.found) > _MOST_SAID:
        say(f"{len(report.found) - _MOST_SAID} more slices are worse than the rest; {SLICES} has them")
    return report


def columns_for(records: Sequence[ImageRecord], audit: AuditReport | None) -> list[Column]:
    """Look at pictures, or take what an earlier audit saw of them, and return it as columns."""
    with progress("looking", len(records)) as advance:
        inspections = inspect(records, workers=decoding_workers(), advance=advance, cache=True)
    duplicated = None if audit is None else [record.id in audit.ties for record in records]
    return columns_of(inspections, duplicated)


def _named_apart(extra: Sequence[Column], seen: Sequence[Column]) -> list[Column]:
    """Rename columns of the user that are called like what is seen: what is known of that is not theirs."""
    taken = {column.name for column in seen}
    return [replace(one, name=f"{one.name} (given)") if one.name in taken else one for one in extra]


def user_columns(path: str | None, records: Sequence[ImageRecord]) -> list[Column]:
    """Read the columns of a user, and say what does not match.

    Raises:
        DataError: They cannot be used.
    """
    if path is None:
        return []
    columns, problems = read_columns(path, [record.id for record in records])
    for problem in problems:
        say(f"warning: {problem}")
    return columns


def audit_of(run: RunFolder) -> AuditReport | None:
    """Return the audit of a run; None where it has none that can be read."""
    try:
        return AuditReport.load(run.audit)
    except UserError:
        return None


def _learned(
    records: Sequence[ImageRecord], class_names: Sequence[str], audit: AuditReport | None, seed: int
) -> tuple[ClassDifference, ...]:
    if not records:
        return ()
    labels = np.array(labels_of(records, class_names))
    return class_differences(columns_for(records, audit), labels, class_names, seed=seed)
