"""Everything that one prediction writes, while answers arrive: rows, logits, and what else was asked for.

Rows grow in ``NAME.partial.csv``, valid at any moment, which takes its place when the last one is in it.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from catsdogs.core.errors import ConfigError
from catsdogs.core.files import install, require_writable
from catsdogs.core.predictions import UNLABELLED
from catsdogs.inference.predictor import Answers
from catsdogs.inference.writers.features import FeaturesFile
from catsdogs.inference.writers.formats import format_of, open_rows
from catsdogs.inference.writers.logits import LogitsFile
from catsdogs.inference.writers.rows import ERROR, Row, RowOptions, rows_of
from catsdogs.inference.writers.sorting import SortedFolder
from catsdogs.inference.writers.submission import Submission, raw_path
from catsdogs.workflows.contactsheet import ContactSheet


@dataclass(frozen=True)
class OutputOptions:
    """What a prediction writes beside its logits.

    Attributes:
        output: Where the rows go.
        format: ``csv``, ``jsonl`` or ``parquet``; by default what the name of ``output`` says.
        top_k: Name so many of the most probable classes instead of the probability of each.
        abstain_below: No label for a picture whose best probability is smaller.
        submission: Where Kaggle's ``id,label`` goes, if anywhere.
        sort_into: A folder that gets every picture as a link or copy in a folder of its class.
        sort_by: ``link`` or ``copy``.
        contact_sheet: A page of thumbnails, the doubtful first: ``.png`` or ``.html``.
        save_features: Where the features go, if anywhere: ``.npz``.
    """

    output: Path
    format: str | None = None
    top_k: int | None = None
    abstain_below: float | None = None
    submission: Path | None = None
    sort_into: Path | None = None
    sort_by: str = "link"
    contact_sheet: Path | None = None
    save_features: Path | None = None

    @property
    def logits(self) -> Path:
        """Where the logits go."""
        return self.output.with_suffix(".npz")

    @property
    def partial(self) -> Path:
        """Where the rows grow."""
        return self.output.with_name(f"{self.output.stem}.partial{self.output.suffix}")

    def journal(self, rank: int, ranks: int) -> Path:
        """Return where one process keeps its answers until all are there."""
        return self.output.with_name(f"{self.output.stem}.journal-{rank + 1}-of-{ranks}")

    def check(self) -> None:
        """Refuse before the work what would fail after it.

        Raises:
            ConfigError: Two results have one place, or a format is unknown.
            OutputError: A place cannot be written.
        """
        RowOptions(top_k=self.top_k, abstain_below=self.abstain_below)
        format_of(self.output, self.format)
        places = [self.output, self.logits]
        if self.submission is not None:
            places += [self.submission, raw_path(self.submission)]
        if self.contact_sheet is not None:
            if self.contact_sheet.suffix.lower() not in (".png", ".html"):
                raise ConfigError(f"--contact-sheet ends in .png or .html, not {self.contact_sheet.name!r}")
            places.append(self.contact_sheet)
        if self.save_features is not None:
            if self.save_features.suffix.lower() != ".npz":
                raise ConfigError(f"--save-features ends in .npz, not {self.save_features.name!r}")
            places.append(self.save_features)
        if self.sort_by not in ("link", "copy"):
            raise ConfigError(f"--sort-by is link or copy, not {self.sort_by!r}")
        if len({place.absolute() for place in places}) < len(places):
            raise ConfigError(
                f"rows, logits ({self.logits}) and whatever else is written need a file each; "
                "choose other names"
            )
        for place in (*places, self.partial):
            require_writable(place)
        if self.sort_into is not None:
            require_writable(self.sort_into / "unreadable.csv")


class Outputs:
    """Writes what was asked for, from answers in the order of the input.

    Attributes:
        counts: Pictures called each class, and how many got no label because the answer was withheld.
        reasons: Why pictures could not be read, counted without the details in brackets.
        pictures: How many there were.
    """

    def __init__(self, options: OutputOptions, class_names: Sequence[str]) -> None:
        self._options, self._class_names = options, tuple(class_names)
        self._row_options = RowOptions(top_k=options.top_k, abstain_below=options.abstain_below)
        options.partial.parent.mkdir(parents=True, exist_ok=True)
        kind = format_of(options.output, options.format)
        self._rows = open_rows(options.partial, kind, class_names, self._row_options)
        self._logits = LogitsFile(class_names)
        self._submission = Submission(class_names) if options.submission else None
        self._sorted = (
            SortedFolder(options.sort_into, class_names, copy=options.sort_by == "copy")
            if options.sort_into
            else None
        )
        self._sheet = ContactSheet(options.contact_sheet) if options.contact_sheet else None
        self._features = FeaturesFile() if options.save_features else None
        self.counts: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.pictures = 0

    def add(self, answers: Answers) -> None:
        """Write what follows from one batch of answers."""
        ids = [record.id for record in answers.records]
        unlabelled = [UNLABELLED] * len(ids)
        rows = list(
            rows_of(ids, answers.logits, unlabelled, answers.errors, self._class_names, self._row_options)
        )
        self._rows.write(rows)
        self._logits.add(ids, answers.logits, answers.errors)
        self._count(rows)
        if self._submission:
            self._submission.add(ids, answers.logits, answers.errors)
        if self._features and answers.features is not None:
            readable = (name for position, name in enumerate(ids) if position not in answers.errors)
            self._features.add(readable, answers.features)
        for record, row in zip(answers.records, rows, strict=True):
            if self._sorted:
                self._sorted.add(record, row)
            if self._sheet:
                self._sheet.add(record, row)

    def finish(self, clip: float = 0.0) -> None:
        """Put every file in its place; ``clip`` bounds the probabilities of a submission."""
        self._rows.close()
        self._logits.save(self._options.logits)
        if self._submission and self._options.submission:
            self._submission.save(self._options.submission, clip)
        if self._features and self._options.save_features:
            self._features.save(self._options.save_features)
        if self._sorted:
            self._sorted.finish()
        if self._sheet:
            self._sheet.save()
        install(self._options.partial, self._options.output)

    def abandon(self) -> None:
        """Leave the rows so far as a valid file; nothing where there are none."""
        with contextlib.suppress(OSError, ValueError):
            self._rows.close()
        self._logits.close()
        if self._features:
            self._features.close()
        if not self.pictures:
            self._options.partial.unlink(missing_ok=True)

    def _count(self, rows: Sequence[Row]) -> None:
        self.pictures += len(rows)
        self.counts.update(row.label or row.status for row in rows if row.status != ERROR)
        self.reasons.update(row.reason.partition(" (")[0] for row in rows if row.status == ERROR)
