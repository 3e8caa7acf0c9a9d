"""Corrections: labels that a person has changed, pictures that they have removed, and the figures without.

The split is drawn with the labels as they were given, so a run with corrections is judged on the same test
pictures as one without. ``split.csv`` holds the corrected labels; ``corrections.csv`` beside it what was
changed or removed, with the label that was given, so that both can be scored.
"""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, fields, replace
from pathlib import Path

import numpy as np

from catsdogs.core.errors import DataError
from catsdogs.core.files import replacing
from catsdogs.core.predictions import Predictions
from catsdogs.core.printable import printable
from catsdogs.core.rawlabels import RawLabels
from catsdogs.core.records import ImageRecord
from catsdogs.core.report import EvaluationReport
from catsdogs.data.labelling import class_key
from catsdogs.data.layouts import labels_of
from catsdogs.evaluation.judge import evaluate
from catsdogs.reporting.console import figure_text, say
from catsdogs.workflows.labelfile import REMOVE, LabelRow, read_labels_file

_COLUMNS = (*(field.name for field in fields(ImageRecord)), "corrected")
_SHOWN = ("accuracy", "log_loss")


@dataclass(frozen=True, slots=True)
class Correction:
    """What a person says about one picture.

    Attributes:
        record: The picture, with the label that it was given.
        label: The right class; None where the picture is to be left out.
    """

    record: ImageRecord
    label: str | None


@dataclass(frozen=True)
class Corrections:
    """What a person has changed.

    Attributes:
        by_id: Id -> correction; only where it changes something.
    """

    by_id: Mapping[str, Correction] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Say whether anything is changed."""
        return bool(self.by_id)

    @property
    def given(self) -> dict[str, str]:
        """Id -> the label that was given, of pictures whose label is changed."""
        return {id: one.record.label or "" for id, one in self.by_id.items() if one.label is not None}

    @property
    def removed(self) -> tuple[ImageRecord, ...]:
        """Pictures that are left out, with the labels that they were given."""
        return tuple(one.record for one in self.by_id.values() if one.label is None)

    @property
    def sentence(self) -> str:
        """What is changed, in words."""
        changed, removed = len(self.given), len(self.removed)
        words = _plural("label", changed), _plural("picture", removed)
        return f"{changed:,} {words[0]} changed, {removed:,} {words[1]} removed"

    def relabel(self, records: Iterable[ImageRecord]) -> tuple[ImageRecord, ...]:
        """Return the pictures with their right labels; those to be removed stay as they are."""
        corrected = {id: one.label for id, one in self.by_id.items() if one.label is not None}
        return tuple(replace(one, label=corrected.get(one.id, one.label)) for one in records)

    def undo(self, records: Iterable[ImageRecord]) -> tuple[ImageRecord, ...]:
        """Return the pictures with the labels that they were given."""
        known = self.given
        return tuple(replace(one, label=known.get(one.id, one.label)) for one in records)

    def apply(self, records: Iterable[ImageRecord]) -> tuple[ImageRecord, ...]:
        """Return the pictures with their right labels, without those to be removed."""
        removed = {record.id for record in self.removed}
        return self.relabel(record for record in records if record.id not in removed)

    def within(self, records: Iterable[ImageRecord]) -> Corrections:
        """Return the corrections of these pictures, each with the split that it has there."""
        present = {record.id: record.split for record in records}
        return Corrections(
            {
                id: replace(one, record=replace(one.record, split=present[id]))
                for id, one in self.by_id.items()
                if id in present
            }
        )

    def among(self, ids: Iterable[str]) -> Corrections:
        """Return the corrections of these pictures."""
        present = set(ids)
        return Corrections({id: one for id, one in self.by_id.items() if id in present})

    def and_then(self, later: Corrections) -> Corrections:
        """Return both; what was given first is what was given."""
        merged = dict(self.by_id)
        for id, one in later.by_id.items():
            first = merged.get(id)
            merged[id] = replace(one, record=first.record) if first else one
        return Corrections({id: one for id, one in merged.items() if one.label != one.record.label})

    def divide(self, predictions: Predictions) -> tuple[Predictions, Predictions]:
        """Return the predictions of what is kept, with the right labels, and of all, with the given ones.

        Args:
            predictions: With the right labels; of removed pictures with the given ones.
        """
        removed = {record.id for record in self.removed}
        kept = predictions.select(np.array([id not in removed for id in predictions.ids], dtype=np.bool_))
        known = self.given
        changed = [place for place, id in enumerate(predictions.ids) if id in known]
        labels = predictions.labels.copy()
        records = [self.by_id[predictions.ids[place]].record for place in changed]
        labels[changed] = labels_of(records, predictions.class_names)
        return kept, replace(predictions, labels=labels)

    def save(self, path: Path) -> None:
        """Write them as CSV: the columns of a split, whose label is the given one, and ``corrected``.

        Raises:
            OutputError: The folder cannot be written.
        """
        with (
            replacing(path) as temporary,
            temporary.open("w", encoding="utf-8", errors="surrogatepass", newline="") as stream,
        ):
            writer = csv.writer(stream)
            writer.writerow(_COLUMNS)
            writer.writerows((*astuple(one.record), one.label) for one in self.by_id.values())

    @classmethod
    def load(cls, path: Path) -> Corrections:
        """Read what ``save`` wrote; none where there is no file.

        Raises:
            DataError: It is something else.
        """
        if not path.exists():
            return cls()
        try:
            with path.open(encoding="utf-8", errors="surrogatepass", newline="") as stream:
                header, *rows = csv.reader(stream, strict=True)
            if tuple(header) != _COLUMNS:
                raise ValueError(f"its columns are not {','.join(_COLUMNS)}")
            found = {}
            for id, root, name, label, group, split, corrected in rows:
                record = ImageRecord(id, root, name, label, group or None, split or None)
                found[id] = Correction(record, corrected or None)
            return cls(found)
        except (OSError, ValueError, csv.Error) as error:
            raise DataError(f"{path} holds no corrections: {error}") from error


def read_corrections(
    path: str,
    records: Sequence[ImageRecord],
    class_names: Sequence[str],
    *,
    whole: bool,
    removed: Collection[str] = (),
) -> Corrections:
    """Match an edited file with the pictures.

    Args:
        path: Of the CSV; it needs the columns ``path`` and ``label``.
        records: The pictures, with the labels that they were given.
        class_names: What a label may be, without regard to case; or ``remove``.
        whole: Whether a row of a picture that is not among the records is a mistake.
        removed: Ids of the records that are left out now; a row with a class brings one back.

    Raises:
        DataError: The file cannot be read; a row names no class or, where that is a mistake, no picture; two
            rows contradict each other; or no row names any picture.
    """
    finder = _Finder(records)
    now = {record.id: None if record.id in removed else record.label for record in records}
    spelling = {class_key(name): name for name in class_names}
    said: dict[str, tuple[LabelRow, str | None]] = {}
    strangers = []
    for row in read_labels_file(path):
        record = finder.find(row.path)
        if record is None:
            strangers.append(row)
            continue
        label = _meant(path, row, spelling) if row.label else now[record.id]
        earlier = said.setdefault(record.id, (row, label))
        if earlier[1] != label:
            lines = f"lines {earlier[0].line} and {row.line}"
            raise DataError(f"{path}: {lines} say different things of {printable(record.id)}")
    _check_strangers(path, strangers, len(said), whole=whole)
    by_id = {record.id: record for record in records}
    found = {id: Correction(by_id[id], label) for id, (_, label) in said.items() if label != now[id]}
    corrections = Corrections(found)
    checked = sum(row.checked for row, _ in said.values())
    looked = f"; {checked:,} of its rows are marked as checked" if checked else ""
    say(f"{path}: {corrections.sentence}{looked}")
    return corrections


class _Finder:
    """Finds pictures by what a person or a spreadsheet made of their ids."""

    def __init__(self, records: Sequence[ImageRecord]) -> None:
        self._exact = {record.id: record for record in records}
        self._plain = {_plain(record.id): record for record in records}

    def find(self, path: str) -> ImageRecord | None:
        return self._exact.get(path) or self._plain.get(_plain(path))


def _plain(path: str) -> str:
    return unicodedata.normalize("NFC", path.strip().replace("\\", "/"))


def _meant(path: str, row: LabelRow, spelling: Mapping[str, str]) -> str | None:
    """Return the class that a row means, None where the picture is to be left out."""
    key = class_key(row.label)
    if key in spelling:
        return spelling[key]
    if key == REMOVE:
        return None
    known = ", ".join(spelling.values())
    raise DataError(
        f"{path}, line {row.line}: {row.label!r} is no class of these pictures ({known}) and not '{REMOVE}'"
    )


def _check_strangers(path: str, strangers: Sequence[LabelRow], found: int, *, whole: bool) -> None:
    if not found:
        example = f", such as {printable(strangers[0].path)!r}" if strangers else ""
        raise DataError(f"{path}: none of its {len(strangers):,} rows names one of these pictures{example}")
    if strangers and whole:
        first = strangers[0]
        more = f" ({len(strangers):,} such rows)" if len(strangers) > 1 else ""
        raise DataError(f"{path}, line {first.line}: there is no picture {printable(first.path)!r}{more}")


def with_raw_labels(
    report: EvaluationReport, raw: Predictions, corrections: Corrections, *, seed: int
) -> EvaluationReport:
    """Return the report with the figures that the given labels would have had beside it.

    Args:
        report: On the right labels.
        raw: Of all pictures, with the labels that they were given.
        corrections: Of these pictures; without any the report stays as it is.
        seed: Of the bootstrap intervals.
    """
    if not corrections:
        return report
    judged = evaluate(raw, split=report.split, tta=report.tta, seed=seed)
    changed, removed = len(corrections.given), len(corrections.removed)
    return replace(report, raw_labels=RawLabels(judged.n, changed, removed, judged.metrics))


def say_raw_labels(report: EvaluationReport) -> None:
    """Tell the figures on the labels as they were given, where some were corrected."""
    raw = report.raw_labels
    if raw is not None:
        figures = ", ".join(
            f"{name.replace('_', ' ')} {figure_text(name, raw.metrics[name])}" for name in _SHOWN
        )
        say(f"on the {raw.n:,} labels as given ({raw.changed:,} changed, {raw.removed:,} removed): {figures}")


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"
