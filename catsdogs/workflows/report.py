"""Report: one page that tells a run, or several beside each other, from what lies in their folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from PIL import Image

from catsdogs.core.errors import ConfigError, DataError, PictureError
from catsdogs.core.files import require_writable, write_text
from catsdogs.core.predictions import Predictions
from catsdogs.core.records import ImageRecord
from catsdogs.core.report import EvaluationReport
from catsdogs.data.audit import AuditReport
from catsdogs.data.splits import read_split
from catsdogs.data.stream import read_picture
from catsdogs.evaluation.abstention import risk_coverage
from catsdogs.models.modelcard import ModelCard, load_card
from catsdogs.reporting.page.blocks import Drawing, Gallery, Section, Words
from catsdogs.reporting.page.html import Part, render
from catsdogs.reporting.page.thumbnails import SIDE_PX
from catsdogs.reporting.sections.abstention import abstention_section
from catsdogs.reporting.sections.calibration import calibration_section
from catsdogs.reporting.sections.data import data_section
from catsdogs.reporting.sections.overview import overview_section
from catsdogs.reporting.sections.plan import plan_section
from catsdogs.reporting.sections.scores import confusion_section, scores_section
from catsdogs.reporting.sections.settings import settings_section
from catsdogs.reporting.sections.summary import summary_section
from catsdogs.reporting.sections.training import training_section
from catsdogs.reporting.sections.unfamiliar import unfamiliar_section
from catsdogs.reporting.sections.views import views_section
from catsdogs.workflows.diagnose import read_diagnosed
from catsdogs.workflows.heldout import heldout
from catsdogs.workflows.runfolder import RunFolder, open_run

PAGE = "report.html"
_FEW = 8


@dataclass(frozen=True)
class Told:
    """Everything about one complete run that its folder tells."""

    run: RunFolder

    @property
    def name(self) -> str:
        """Of the folder."""
        return self.run.path.resolve().name

    @cached_property
    def plan(self) -> dict[str, Any]:
        """Strategy and evidence."""
        return self.run.read_plan()

    @cached_property
    def card(self) -> ModelCard:
        """Of the model."""
        return load_card(self.run.model)

    @cached_property
    def records(self) -> tuple[ImageRecord, ...]:
        """The pictures with their splits."""
        return read_split(self.run.split)

    @cached_property
    def report(self) -> EvaluationReport | None:
        """Of the test pictures."""
        place = self.run.path / "evaluation.json"
        return EvaluationReport.load(place) if place.is_file() else None

    @cached_property
    def predictions(self) -> Predictions | None:
        """About the test pictures."""
        place = self.run.path / "predictions.npz"
        return Predictions.load(place) if place.is_file() else None

    @cached_property
    def held_out(self) -> Predictions | None:
        """What thresholds may be learned from."""
        return heldout(self.run.path)

    @property
    def others(self) -> list[EvaluationReport]:
        """Evaluations of other pictures or views, in folders of their own."""
        return [
            EvaluationReport.load(place)
            for place in sorted(self.run.path.glob("evaluation-*/evaluation.json"))
        ]

    @property
    def kind(self) -> str:
        """Strategy and backbone."""
        return f"{self.plan['strategy']} on {self.card.backbone}"

    @property
    def made_by(self) -> str:
        """Strategy, backbone and training pictures, in a few words."""
        count = sum(record.split in self.learned_from for record in self.records)
        return f"{self.kind}, with {count:,} pictures to learn from,"

    @property
    def learned_from(self) -> list[str]:
        """The splits that the weights come from."""
        return ["train", *self.plan.get("fitted_on", [])]


def write_page(paths: Sequence[Path], out: Path | None = None, *, short: bool = False) -> Path:
    """Write the page of a run, or of several, and return where it is.

    Args:
        paths: Of complete runs.
        out: Where to; by default into the folder of the run, or of several ``report.html`` here.
        short: Words, tables and a few pictures, which take no time to draw.

    Raises:
        ConfigError: One is no run, or is not complete, or two have one name.
        DataError: A file of a run is damaged.
        OutputError: The page cannot be written.
    """
    told = [_complete(path) for path in paths]
    place = out or (told[0].run.path / PAGE if len(told) == 1 else Path(PAGE))
    require_writable(place)
    if len(told) == 1:
        found = sections(told[0])
        parts = [Part("run", "", tuple(_short(found, told[0]) if short else found))]
    else:
        parts = _side_by_side(dict(zip(_names(told), told, strict=True)))
    title = f"{told[0].name}: {told[0].kind}" if len(told) == 1 else f"{len(told)} runs"
    write_text(place, render(title, parts, Pictures(told).open))
    return place


def _short(found: Sequence[Section], told: Told) -> list[Section]:
    """Return sections without figures, and with the first few of their pictures."""
    kept = [
        replace(
            section,
            blocks=tuple(
                replace(block, pictures=block.pictures[:_FEW]) if isinstance(block, Gallery) else block
                for block in section.blocks
                if not isinstance(block, Drawing)
            ),
        )
        for section in found
    ]
    more = Words(f"This is the short form: catsdogs report {told.run.path} draws the figures, too.")
    return [*kept[:-1], replace(kept[-1], blocks=(*kept[-1].blocks, more))]


def _side_by_side(told: Mapping[str, Told]) -> list[Part]:
    """Return an overview, then each run in its short form, folded."""
    overview = overview_section(
        {name: one.kind for name, one in told.items()},
        {name: one.report for name, one in told.items() if one.report is not None},
        {name: read_diagnosed(one.run.path)[0] for name, one in told.items() if one.run.metrics.is_file()},
    )
    runs = [
        Part(f"run-{number}", name, tuple(_short(sections(one), one)))
        for number, (name, one) in enumerate(told.items(), start=1)
    ]
    return [Part("overview", "", (overview,)), *runs]


def _complete(path: Path) -> Told:
    run = open_run(path)
    if not run.summary.is_file():
        raise ConfigError(f"{path} is not complete: finish it with catsdogs train --resume {path}")
    return Told(run)


def _names(told: Sequence[Told]) -> list[str]:
    names = [one.name for one in told]
    if len(set(names)) < len(names):
        names = [str(one.run.path) for one in told]
    if len(set(names)) < len(names):
        raise ConfigError("the same run is named twice")
    return names


def sections(told: Told) -> list[Section]:
    """Return what is known of a run, in the order of reading."""
    report, said = told.report, told.predictions
    found: list[Section | None] = [
        summary_section(told.made_by, report, risk_coverage(said) if said and report else None, [])
    ]
    if report is not None and said is not None:
        found += [
            scores_section(report),
            confusion_section(report, said),
            calibration_section(said, told.held_out, told.card.temperature),
            abstention_section(said, told.held_out),
            unfamiliar_section(said),
        ]
    found.append(views_section([*([report] if report else []), *told.others]))
    found.append(data_section(AuditReport.load(told.run.audit), told.records))
    found.append(plan_section(told.plan))
    if told.run.metrics.is_file():
        found.append(training_section(*read_diagnosed(told.run.path)))
    config = told.run.config.read_text(encoding="utf-8")
    engine = report.engine if report else None
    found.append(settings_section(told.name, config, told.plan.get("environment", {}), engine))
    return [section for section in found if section is not None]


class Pictures:
    """Opens the pictures of runs by their ids; those that have gone since are None.

    Args:
        told: The runs.
    """

    def __init__(self, told: Sequence[Told]) -> None:
        self._records = {record.id: record for one in told for record in one.records}

    def open(self, picture: str) -> Image.Image | None:
        """Return a picture, reduced where that is faster."""
        record = self._records.get(picture)
        try:
            return None if record is None else read_picture(record, at_least_px=(SIDE_PX, SIDE_PX))
        except (PictureError, DataError):
            return None
