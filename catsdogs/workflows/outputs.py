"""Everything that one prediction writes, while answers arrive: rows, logits, and what else was asked for.

Rows grow in ``NAME.partial.csv``, which takes its place when the last one is in it. As CSV or JSON lines they
are valid at any moment, as Parquet when the file has been closed.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from catsdogs.core.errors import ConfigError, OutputError
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
        unfamiliar_from: No label for a picture as strange as this.
        with_unfamiliar: Whether the model can tell how strange a picture is.
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
    unfamiliar_from: float | None = None
    with_unfamiliar: bool = False
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
        """Where the rows grow: beside the file that they will be, also where ``output`` is a link to it."""
        target = Path(os.path.realpath(self.output)) if os.path.islink(self.output) else self.output  # noqa: PTH114
        return target.with_name(f"{target.stem}.partial{target.suffix}")

    def rows(self) -> RowOptions:
        """Return what rows hold.

        Raises:
            ConfigError: A number means nothing.
        """
        return RowOptions(
            top_k=self.top_k,
            abstain_below=self.abstain_below,
            with_unfamiliar=self.with_unfamiliar,
            unfamiliar_from=self.unfamiliar_from,
        )

    def journal(self, rank: int, ranks: int) -> Path:
        """Return where one process keeps its answers until all are there."""
        return self.output.with_name(f"{self.output.stem}.journal-{rank + 1}-of-{ranks}")

    def are(self, path: str) -> bool:
        """Whether a path is one of the results, or will be: they are no pictures of the input."""
        folder, name = os.path.split(path)
        if name in self._own_names and str(Path(_real(folder), name)) in self._own:
            return True
        if name.startswith(self._journals) and _real(folder) == _real(str(self.output.parent)):
            return True
        if self.sort_into is None:
            return False
        return f"{_real(folder)}{os.sep}".startswith(f"{_real(str(self.sort_into))}{os.sep}")

    @cached_property
    def _own(self) -> frozenset[str]:
        places = (*self._places(), self.partial)
        return frozenset(str(Path(_real(str(place.parent)), place.name)) for place in places)

    @cached_property
    def _own_names(self) -> frozenset[str]:
        return frozenset(Path(place).name for place in self._own)

    @property
    def _journals(self) -> str:
        return self.journal(0, 1).name.removesuffix("1-of-1")

    def _places(self) -> list[Path]:
        """Return the files of the results."""
        submission = [self.submission, raw_path(self.submission)] if self.submission else []
        places = [self.output, self.logits, *submission, self.contact_sheet, self.save_features]
        return [place for place in places if place is not None]

    def check(self) -> None:
        """Refuse before the work what would fail after it.

        Raises:
            ConfigError: Two results have one place, a format is unknown, or an option has nothing to act on.
            OutputError: A place cannot be written.
        """
        if not self.output.name:
            raise ConfigError(f"--output {str(self.output)!r} is a folder; name a file")
        self.rows()
        format_of(self.output, self.format)
        for name, place, ends in (
            ("contact-sheet", self.contact_sheet, (".png", ".html")),
            ("save-features", self.save_features, (".npz",)),
        ):
            if place is not None and place.suffix.lower() not in ends:
                raise ConfigError(f"--{name} ends in {' or '.join(ends)}, not {place.name!r}")
        if self.sort_by not in ("link", "copy"):
            raise ConfigError(f"--sort-by is link or copy, not {self.sort_by!r}")
        if self.sort_by == "copy" and self.sort_into is None:
            raise ConfigError("--sort-by copy needs --sort-into FOLDER")
        places = self._places()
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
        self._row_options = options.rows()
        options.partial.parent.mkdir(parents=True, exist_ok=True)
        kind = format_of(options.output, options.format)
        self._rows = open_rows(options.partial, kind, class_names, self._row_options)
        self._logits = LogitsFile(class_names, with_unfamiliar=options.with_unfamiliar)
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
        """Write what follows from one batch of answers.

        Raises:
            OutputError: The disk is full, or a place cannot be written any more.
        """
        with _told():
            self._add(answers)

    def _add(self, answers: Answers) -> None:
        ids = [record.id for record in answers.records]
        unlabelled = [UNLABELLED] * len(ids)
        rows = list(
            rows_of(
                ids,
                answers.logits,
                unlabelled,
                answers.errors,
                self._class_names,
                self._row_options,
                answers.unfamiliar,
            )
        )
        self._rows.write(rows)
        self._logits.add(ids, answers.logits, answers.errors, answers.unfamiliar)
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
        """Put every file in its place; ``clip`` bounds the probabilities of a submission.

        Raises:
            OutputError: One cannot be written.
        """
        with _told():
            self._finish(clip)

    def _finish(self, clip: float) -> None:
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


@lru_cache(maxsize=4096)
def _real(folder: str) -> str:
    return os.path.realpath(folder)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Say in one line what the system refused."""
    try:
        yield
    except OSError as error:
        place = error.filename or "the results"
        raise OutputError(f"cannot write {place}: {error.strerror or error}") from error
