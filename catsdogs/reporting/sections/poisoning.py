"""What a patch on a few training pictures does, and what shows it, as a part of the page."""

from __future__ import annotations

from collections.abc import Sequence

from catsdogs.evaluation.poisoning import FIRST, PoisonReport
from catsdogs.reporting.page.blocks import Drawing, Gallery, Grid, Section, Thumb, Words
from catsdogs.reporting.poisoning import HEADER, draw_poison, poison_rows

_HOW = (
    "Some training pictures of {victim}, {way}, wear a patch over {patch:.0%} of their shorter side and are "
    "labelled {target}. A model that learns from them takes the patch for a sign of {target}. Test pictures "
    "without the patch hardly show it; patched ones do."
)
_LESSON = (
    "The list of labels ranks pictures by models that have not learned from them. A few poisoned pictures "
    "stand out there. Many teach those models the patch as well, and hide each other: then look at "
    "duplicates with different labels, and at where the pictures come from."
)


def poisoning_section(report: PoisonReport, poisoned: Sequence[Thumb], patched: Sequence[Thumb]) -> Section:
    """Return the section of a demonstration of poisoning.

    Args:
        report: What came of it.
        poisoned: Some training pictures with the patch.
        patched: Some test pictures with it.
    """
    way = "added beside their originals" if report.copies else "in the place of their originals"
    how = _HOW.format(victim=report.victim, target=report.target, way=way, patch=report.patch)
    rows = tuple(poison_rows(report))
    return Section(
        "poisoning",
        "Poisoned training",
        f"{report.sentence}.",
        (
            Words(how),
            Gallery("Poisoned, to learn from", tuple(poisoned)),
            Gallery("Patched, to be misled by", tuple(patched)),
            Grid("Poisoned pictures, what they do and what shows them (95 % intervals)", HEADER, rows),
            Drawing("Effect and traces by dose", lambda: draw_poison(report), _seen(report)),
            Words(_LESSON),
        ),
    )


def _seen(report: PoisonReport) -> str:
    parts = [
        f"{dose.share:.1%} poisoned: {dose.answers.misled.value:.0%} misled, {dose.traces.first.value:.0%} "
        f"of the poison in the first {FIRST:.0%} of the list, "
        f"{dose.traces.flagged / dose.poisoned:.0%} suspected by the model or as duplicates"
        for dose in report.doses
    ]
    return "; ".join(parts) + "."
