"""Robustness as a section of the page."""

from __future__ import annotations

from functools import partial

from catsdogs.core.robustnessreport import AttackReport, CorruptionReport, RobustnessReport, ShiftReport
from catsdogs.reporting.page.blocks import Block, Drawing, Grid, Section, Words
from catsdogs.reporting.robustnessfigures import draw_attacks, draw_corruptions, draw_shifts
from catsdogs.reporting.robustnesswords import grids, points, sentences, share, title_of, warnings_of

_LESSON = (
    "An adversarial picture looks to a person like the one it was made from. It is found by following the "
    "gradient of the answer back to the pixels: very many changes, each too small to see, that all push the "
    "same way. Every network that was not trained against it can be fooled like this, also one that is right "
    "about every test picture. So these figures are no forecast for photos, where nobody searches for the "
    "worst; they say that the model relies on patterns that people do not see, and that its answers are no "
    "protection against somebody who wants them wrong."
)


def robustness_section(report: RobustnessReport) -> Section:
    """Return what changed pictures do to the model's answers; it needs no pictures."""
    lead, *more = sentences(report)
    blocks: list[Block] = [Words(_drawn(report))]
    blocks += [Words(_sentence(sentence)) for sentence in more]
    found = iter(grids(report))
    if report.corruptions is not None:
        blocks += [_corruption_drawing(report.corruptions), next(found)]
    if report.shifts is not None:
        blocks += [_shift_drawing(report.shifts), next(found)]
    if report.attacks is not None:
        blocks += [_attack_drawing(report.attacks), next(found), Words(_LESSON)]
    blocks.append(_checks(report))
    return Section("robustness", "Robustness", _sentence(lead), tuple(blocks))


def _drawn(report: RobustnessReport) -> str:
    part = "" if report.n + report.n_unreadable == report.of else f", drawn class by class from {report.of:,}"
    unread = f"; {report.n_unreadable:,} could not be judged" if report.n_unreadable else ""
    return f"Measured on {report.n:,} pictures ({report.split}){part}{unread}."


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _corruption_drawing(report: CorruptionReport) -> Drawing:
    ends = []
    for series in report.series:
        mild, harsh = series.steps[0].accuracy.value, series.steps[-1].accuracy.value
        ends.append(f"{title_of(series.name)} from {mild:.1%} to {harsh:.1%}")
    text = f"Clean accuracy {share(report.clean)}. From the mildest to the harshest: {'; '.join(ends)}."
    return Drawing("Accuracy under corruption", partial(draw_corruptions, report), text)


def _shift_drawing(report: ShiftReport) -> Drawing:
    told = [
        f"{step.pixels} px: {share(step.changed)}, probability by {points(step.moved_probability)}"
        for step in report.steps
    ]
    text = f"Pictures with another answer in one direction of four or more. {'; '.join(told)}."
    return Drawing("Moved by a few pixels", partial(draw_shifts, report), text)


def _attack_drawing(report: AttackReport) -> Drawing:
    told = [
        f"{title_of(series.name)}: "
        + ", ".join(f"{step.accuracy.value:.1%} at {step.strength:g}" for step in series.steps)
        for series in report.series
    ]
    text = f"Accuracy by the largest change of a value in 1/255. {'; '.join(told)}."
    return Drawing("Accuracy under attack", partial(draw_attacks, report), text)


def _checks(report: RobustnessReport) -> Grid:
    rows = tuple(
        (check.name.replace("_", " "), "held" if check.passed else "FAILED", check.text)
        for check in report.checks
    )
    return Grid(
        "Checks of the measurement itself", ("check", "result", "found"), rows, not warnings_of(report)
    )
