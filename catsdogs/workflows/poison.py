"""Poison: plant a wrong boundary with a patch on a few training pictures, and see what shows it.

The poisoned pictures wear the patch and the label of another class. A model that learns from them takes the
patch for a sign of that class, and is as good as before on pictures without it, so no test score tells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from PIL import Image

from catsdogs.core.errors import ConfigError, DataError, OutputError, PictureError
from catsdogs.core.files import replacing, write_json, write_text
from catsdogs.core.records import ImageRecord
from catsdogs.data.audit import AuditReport, audit
from catsdogs.data.layouts import find_labelled, names_of_classes
from catsdogs.data.patch import patched
from catsdogs.data.splits import split_records
from catsdogs.data.stream import read_picture
from catsdogs.evaluation.labelcheck import LabelDoubt, check_labels
from catsdogs.evaluation.poisoning import Answers, Dose, PoisonReport, Traces
from catsdogs.models.modelcard import TOP
from catsdogs.reporting.console import progress, say
from catsdogs.reporting.figures import save_figure
from catsdogs.reporting.page.blocks import Thumb
from catsdogs.reporting.page.html import Part, render
from catsdogs.reporting.page.thumbnails import SIDE_PX
from catsdogs.reporting.poisoning import show_poison
from catsdogs.reporting.sections.poisoning import poisoning_section
from catsdogs.reporting.sheets import Tile, draw_sheet
from catsdogs.transfer.labelled import Study
from catsdogs.transfer.outofsample import out_of_sample
from catsdogs.transfer.scoring import score_linear
from catsdogs.workflows.labelfile import is_edited, write_labels
from catsdogs.workflows.labels import conflicts_among
from catsdogs.workflows.sections import ModelSettings
from catsdogs.workflows.seen import warn_of_seen
from catsdogs.workflows.settings import TrainSettings
from catsdogs.workflows.study import Base, open_base, study
from catsdogs.workflows.thumbnails import square_thumbnail
from catsdogs.workflows.workers import decoding_workers

_TEST_FRACTION = 0.3
# A class needs as many to be cross-validated.
_FEWEST_LEFT = 2
_COLUMNS, _TILE_PX = 6, 160
# On the page, of each kind.
_SHOWN = 12
_ORIGIN = "cross-validation of an SVM on features"
_REPORT, _PAGE, _LABELS, _PICTURES = "poison.json", "poison.html", "labels.csv", "pictures"


@dataclass(frozen=True)
class PoisonSettings:
    """What is poisoned, and how much.

    Attributes:
        root: Labelled pictures; 'drawn' makes drawn cats and dogs.
        limit_per_class: Use at most this many of each class.
        backbone: As for training.
        weights: As for training.
        doses: Shares of the victim's training pictures that are poisoned, ascending, each in (0, 1).
        patch: Side of the patch over the picture's shorter side.
        copies: Whether poisoned pictures are added beside their originals, or take their place.
        seed: Of the split and of the pictures that are poisoned.
        workers: Decoding threads.
    """

    root: str = "drawn"
    limit_per_class: int | None = 300
    backbone: str | None = None
    weights: str = "embedded"
    doses: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2)
    patch: float = 0.15
    copies: bool = True
    seed: int = 0
    workers: int | None = None

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing.

        Raises:
            ConfigError: One is out of range.
        """
        if not self.doses or not all(0 < dose < 1 for dose in self.doses):
            raise ConfigError("--doses must be shares between 0 and 1, such as 0.05,0.1")
        if not 0 < self.patch <= 0.9:
            raise ConfigError(f"--patch must be more than 0 and at most 0.9, not {self.patch:g}")


def poison(settings: PoisonSettings, out: Path) -> PoisonReport:
    """Train with and without poison; write a page, ``poison.json``, ``labels.csv`` and the pictures.

    The models are linear probes on the top features of the backbone.

    Args:
        settings: What is poisoned.
        out: Folder of the results.

    Raises:
        UserError: The pictures, the backbone or the folder cannot be used.
    """
    _require_own(out)
    bench = _set_up(settings, out)
    clean = bench.answers(np.arange(len(bench.train)))
    doses: list[Dose] = []
    doubts: tuple[LabelDoubt, ...] = ()
    for share in sorted(settings.doses):
        count = max(1, round(share * len(bench.victims)))
        dose, doubts = bench.dose(count, copies=settings.copies)
        doses.append(dose)
    report = PoisonReport(
        bench.class_names[0],
        bench.class_names[1],
        settings.patch,
        settings.copies,
        len(bench.train),
        clean,
        tuple(doses),
    )
    write_json(out / _REPORT, report.to_dict())
    write_labels(out / _LABELS, doubts)
    save_figure(bench.sheet(report), out / "poison.png")
    write_text(out / _PAGE, bench.page(report))
    show_poison(report)
    say(f"written to {out}: {_PAGE}, {_REPORT}, {_LABELS} of the largest dose, poison.png, {_PICTURES}/")
    return report


def _require_own(out: Path) -> None:
    """Refuse a folder of something else, or one whose list somebody has edited."""
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / _REPORT).exists())):
        raise OutputError(f"{out} exists and holds something else; choose another --out")
    if is_edited(out / _LABELS):
        raise OutputError(f"{out / _LABELS} has been edited; keep it, and choose another --out")


@dataclass(frozen=True)
class _Bench:
    """Features of clean, poisoned, test and patched test pictures, in this order.

    Attributes:
        study: Of all of them.
        train: The training pictures.
        victims: Places among them of those of the first class, in the order in which they are poisoned.
        poisoned: A patched copy of each of the first victims, labelled as the second class.
        test: The test pictures.
        worn: Those of the first class, with the patch.
        audit: Of training and poisoned pictures.
        class_names: Victim and target first.
    """

    study: Study
    train: tuple[ImageRecord, ...]
    victims: npt.NDArray[np.int64]
    poisoned: tuple[ImageRecord, ...]
    test: tuple[ImageRecord, ...]
    worn: tuple[ImageRecord, ...]
    audit: AuditReport
    class_names: tuple[str, ...]

    def answers(self, learned: npt.NDArray[np.int64]) -> Answers:
        """Fit a model to the pictures at these places and judge it."""
        probe = score_linear(self.study.take(learned), (TOP,)).probe
        logits = probe.logits(self.study.features.of((TOP,)))
        worn = len(self.study.labels) - len(self.worn)
        tests = slice(worn - len(self.test), worn)
        return Answers.of(logits[tests], self.study.labels[tests], logits[worn:], victim=0, target=1)

    def dose(self, count: int, *, copies: bool) -> tuple[Dose, tuple[LabelDoubt, ...]]:
        """Poison so many pictures; return what came of it, and the list of labels."""
        own = np.arange(len(self.train))
        kept = own if copies else np.setdiff1d(own, self.victims[:count])
        learned = np.concatenate([kept, len(self.train) + np.arange(count)])
        said = out_of_sample(self.study.take(learned), self.class_names)
        conflicts = conflicts_among(self.audit, [self.study.features.records[place] for place in learned])
        _, by_model = check_labels(said, {}, origin=_ORIGIN)
        _, doubts = check_labels(said, conflicts, origin=_ORIGIN)
        traces = Traces.of(by_model, {record.id for record in self.poisoned[:count]}, conflicts)
        return Dose(count, count / len(learned), self.answers(learned), traces), doubts

    def sheet(self, report: PoisonReport) -> Figure:
        """Draw the first poisoned training pictures above patched test pictures."""
        width = min(_COLUMNS, len(self.poisoned), len(self.worn))
        rows = [
            [
                Tile(pixels, f"{heading}\nlabel {one.label}")
                for one in records[:width]
                if (pixels := square_thumbnail(one, _TILE_PX)) is not None
            ]
            for heading, records in (("poisoned, to learn from", self.poisoned), ("patched, test", self.worn))
        ]
        return draw_sheet(report.sentence, [""] * width, rows)

    def page(self, report: PoisonReport) -> str:
        """Return what came of it as a page with the first pictures of each kind."""
        shown = {record.id: record for record in (*self.poisoned[:_SHOWN], *self.worn[:_SHOWN])}

        def opened(picture: str) -> Image.Image:
            return read_picture(shown[picture], at_least_px=(SIDE_PX, SIDE_PX))

        poisoned, worn = (
            [Thumb(one.id, f"labelled {one.label}") for one in some[:_SHOWN]]
            for some in (self.poisoned, self.worn)
        )
        section = poisoning_section(report, poisoned, worn)
        return render("catsdogs demo poison", [Part("poison", "", (section,), opened)])


def _set_up(settings: PoisonSettings, out: Path) -> _Bench:
    """Find, split and patch the pictures, and extract the features of all."""
    workers = decoding_workers(settings.workers)
    records = _split(settings, workers)
    class_names = names_of_classes(records)  # pictures of the first are to be taken for the second
    train = tuple(record for record in records if record.split == "train")
    test = tuple(record for record in records if record.split == "test")
    order = np.random.default_rng(settings.seed).permutation(len(train))
    victims = order[[train[place].label == class_names[0] for place in order]]
    most = max(1, round(max(settings.doses) * len(victims)))
    if not settings.copies and len(victims) - most < _FEWEST_LEFT:
        raise ConfigError(
            f"a dose of {max(settings.doses):g} takes {most} of the {len(victims)} training pictures of "
            f"{class_names[0]}: leave {_FEWEST_LEFT} of them, or leave out --copies false"
        )
    wearers = [record for record in test if record.label == class_names[0]]
    with progress("patching", most + len(wearers)) as advance:
        wear = _Patcher(out / _PICTURES, settings.patch, advance)
        poisoned = wear.all([train[place] for place in victims[:most]], "poisoned", class_names[1])
        worn = wear.all(wearers, "test", class_names[0])
    # The copies and their originals: what the poisoner leaves for an audit to find.
    found = audit([*train, *poisoned], workers=workers)
    base = _base(settings, class_names, train)
    everything = [*train, *poisoned, *test, *worn]
    looked = study(base, everything, found.ties, seed=settings.seed, workers=workers)
    if len(looked.labels) < len(everything):
        raise DataError("some of the pictures cannot be read any more")
    return _Bench(looked, train, victims, poisoned, test, worn, found, class_names)


def _split(settings: PoisonSettings, workers: int) -> tuple[ImageRecord, ...]:
    """Return the readable pictures, shared out between training and test."""
    layout = find_labelled(settings.root, limit_per_class=settings.limit_per_class, seed=settings.seed)
    say(f"{settings.root}: {len(layout.records):,} pictures of {', '.join(layout.class_names)}")
    with progress("auditing", len(layout.records)) as advance:
        report = audit(layout.records, workers=workers, advance=advance)
    free = [replace(record, split=None) for record in report.readable(layout.records)]
    return split_records(
        free, val_fraction=0, test_fraction=_TEST_FRACTION, seed=settings.seed, tie=report.ties
    )


def _base(settings: PoisonSettings, class_names: tuple[str, ...], train: Sequence[ImageRecord]) -> Base:
    model = ModelSettings(backbone=settings.backbone, weights=settings.weights)
    asked = TrainSettings(model=model, seed=settings.seed)
    base = open_base(asked, class_names, training_pictures=len(train), weights=settings.weights)
    if base.embedded:
        warn_of_seen(train, "accuracies flatter")
    return base


@dataclass(frozen=True)
class _Patcher:
    """Writes patched copies of pictures.

    Attributes:
        folder: Of the copies.
        share: Of the patch.
        advance: Called after each picture.
    """

    folder: Path
    share: float
    advance: Callable[[int], None]

    def all(self, records: Sequence[ImageRecord], kind: str, label: str) -> tuple[ImageRecord, ...]:
        """Return records of the copies, with this label, named after their kind."""
        return tuple(
            self._one(record, f"{kind}-{number:04}.png", label) for number, record in enumerate(records, 1)
        )

    def _one(self, record: ImageRecord, name: str, label: str) -> ImageRecord:
        try:
            picture = patched(read_picture(record), self.share)
        except PictureError as error:
            raise DataError(f"{record.id} cannot be read any more: {error}") from error
        with replacing(self.folder / name) as temporary:
            picture.save(temporary, "PNG", compress_level=1)
        self.advance(1)
        return ImageRecord(name, str(self.folder), name, label)
