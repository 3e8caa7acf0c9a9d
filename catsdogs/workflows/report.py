"""Report: one page that tells a run, or several beside each other, from what lies in their folders."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image

from catsdogs.core.errors import ConfigError, DataError, PictureError
from catsdogs.core.files import require_writable, write_text
from catsdogs.core.predictions import Predictions
from catsdogs.data.stream import read_picture
from catsdogs.evaluation.abstention import risk_coverage
from catsdogs.evaluation.comparison import compare
from catsdogs.evaluation.mistakes import Galleries, galleries
from catsdogs.reporting.console import say
from catsdogs.reporting.page.blocks import Drawing, Gallery, Section, Words
from catsdogs.reporting.page.html import Part, render
from catsdogs.reporting.page.thumbnails import SIDE_PX, Opened
from catsdogs.reporting.sections.abstention import abstention_section
from catsdogs.reporting.sections.calibration import calibration_section
from catsdogs.reporting.sections.comparison import comparison_section
from catsdogs.reporting.sections.data import data_section
from catsdogs.reporting.sections.elsewhere import elsewhere_section
from catsdogs.reporting.sections.ensemble import ensemble_section
from catsdogs.reporting.sections.labels import labels_section
from catsdogs.reporting.sections.mistakes import mistakes_section
from catsdogs.reporting.sections.overview import overview_section
from catsdogs.reporting.sections.plan import plan_section
from catsdogs.reporting.sections.robustness import robustness_section
from catsdogs.reporting.sections.scores import confusion_section, scores_section
from catsdogs.reporting.sections.settings import settings_section
from catsdogs.reporting.sections.slices import slices_section
from catsdogs.reporting.sections.summary import summary_section
from catsdogs.reporting.sections.training import training_section
from catsdogs.reporting.sections.unfamiliar import unfamiliar_section
from catsdogs.reporting.sections.views import views_section
from catsdogs.workflows.told import Told, tell

PAGE = "report.html"
_FEW = 8


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
    told = [tell(path) for path in paths]
    place = out or (told[0].run.path / PAGE if len(told) == 1 else Path(PAGE))
    require_writable(place)
    pictures = Pictures()
    if len(told) == 1:
        found = sections(told[0])
        parts = [Part("run", "", tuple(_short(found, told[0]) if short else found), pictures.of(told))]
    else:
        parts = _side_by_side(dict(zip(_names(told), told, strict=True)), pictures)
    title = f"{told[0].name}: {told[0].kind}" if len(told) == 1 else f"{len(told)} runs"
    write_text(place, render(title, parts))
    if pictures.gone:
        say(f"warning: the page names pictures that are not to be had in {', '.join(sorted(pictures.gone))}")
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
    more = Words(
        f"This is the short form: catsdogs report {shlex.quote(str(told.run.path))} draws the figures, too."
    )
    return [*kept[:-1], replace(kept[-1], blocks=(*kept[-1].blocks, more))]


def _side_by_side(told: Mapping[str, Told], pictures: Pictures) -> list[Part]:
    """Return an overview, then each run in its short form, folded."""
    overview = overview_section(
        {name: one.kind for name, one in told.items()},
        {name: one.report for name, one in told.items() if one.report is not None},
        {name: one.training[0] for name, one in told.items() if one.training is not None},
    )
    runs = [
        Part(f"run-{number}", name, tuple(_short(sections(one), one)), pictures.of([one]))
        for number, (name, one) in enumerate(told.items(), start=1)
    ]
    both = pictures.of(list(told.values()))
    return [Part("overview", "", (overview, *_compared(told)), both), *runs]


def _compared(told: Mapping[str, Told]) -> list[Section]:
    """Compare the tested runs with the first of them, on the pictures that all have answered."""
    answers = {name: one.predictions for name, one in told.items() if one.predictions is not None}
    if len(answers) < 2:
        return []
    try:
        return [comparison_section(compare(list(answers.values()), list(answers)))]
    except DataError as error:
        return [Section("comparison", "Comparison", f"They cannot be compared in pairs: {error}.")]


def _names(told: Sequence[Told]) -> list[str]:
    names = [one.name for one in told]
    if len(set(names)) < len(names):
        names = [str(one.run.path) for one in told]
    if len(set(names)) < len(names):
        raise ConfigError("the same run is named twice")
    return names


def sections(told: Told) -> list[Section]:
    """Return what is known of a run, in the order of reading."""
    found = [*_judgement(told), *_made_from(told)]
    return [section for section in found if section is not None]


def _judgement(told: Told) -> list[Section | None]:
    """Return how good it is, how sure that is, and where it fails."""
    report, said, slices = told.report, told.predictions, told.slices
    if report is None or said is None:
        return [summary_section(told.made_by, None, None, [])]
    found = [f"it does worse on {slices.found[0].title}"] if slices is not None and slices.found else []
    if told.labels is not None and told.labels.suspected and not told.labels.caution:
        found.append(f"of the labels, {told.labels.sentence}")
    return [
        summary_section(told.made_by, report, risk_coverage(said), found),
        scores_section(report),
        confusion_section(report, said),
        None if told.ensemble is None else ensemble_section(told.ensemble),
        calibration_section(said, told.held_out, told.card.temperature),
        abstention_section(said, told.held_out),
        unfamiliar_section(said),
        None if slices is None else slices_section(slices),
        None if told.robustness is None else robustness_section(told.robustness),
        views_section([report, *told.others]),
        elsewhere_section(told.others),
        mistakes_section(_galleries(told, said)),
    ]


def _galleries(told: Told, said: Predictions) -> Galleries:
    return galleries(
        said,
        out_of_fold=told.out_of_fold,
        conflicting=() if told.audit is None else told.audit.conflicting_duplicates,
        labels={record.id: record.label or "" for record in told.records},
    )


def _made_from(told: Told) -> list[Section | None]:
    """Return pictures, plan, training and settings."""
    engine = told.report.engine if told.report else None
    environment = told.plan.get("environment", {})
    return [
        None if told.labels is None else labels_section(told.labels),
        None if told.audit is None else data_section(told.audit, told.records),
        None if told.ensemble is not None else plan_section(told.plan),
        None if told.training is None else training_section(*told.training, told.interpolation),
        settings_section(told.command, told.config, environment, engine),
    ]


class Pictures:
    """Opens the pictures of runs by their ids; those that have gone since are None.

    Attributes:
        gone: Folders and zips in which a picture was looked for and not found.
    """

    def __init__(self) -> None:
        self.gone: set[str] = set()

    def of(self, told: Sequence[Told]) -> Opened:
        """Return what opens the pictures of these runs; where two share an id, the first run's."""
        records = {record.id: record for one in reversed(told) for record in one.records}

        def opened(picture: str) -> Image.Image | None:
            if picture not in records:
                return None
            record = records[picture]
            try:
                return read_picture(record, at_least_px=(SIDE_PX, SIDE_PX))
            except (PictureError, DataError):
                self.gone.add(record.root)
                return None

        return opened
