"""Robustness in words and tables, for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Sequence

from catsdogs.core.estimate import Estimate
from catsdogs.core.robustnessreport import (
    AttackReport,
    CorruptionReport,
    RobustnessReport,
    Series,
    ShiftReport,
    Step,
)
from catsdogs.reporting.console import say, table
from catsdogs.reporting.page.blocks import Grid

_JPEG = "jpeg"
_JPEG_STRENGTH = 4
_FEW_PX = 2
_NAMES = {"fgsm": "FGSM", "pgd": "PGD", "jpeg": "JPEG"}


def title_of(name: str) -> str:
    """Return a series for people, such as ``gaussian noise``."""
    return _NAMES.get(name, name.replace("_", " "))


def share(estimate: Estimate) -> str:
    """Return a share with its interval, such as ``1.2 % (0.4 to 2.1)``."""
    value, low, high = (100 * number for number in (estimate.value, estimate.low, estimate.high))
    return f"{value:.1f} % ({low:.1f} to {high:.1f})"


def points(estimate: Estimate) -> str:
    """Return a difference of shares with its interval, such as ``1.2 points (0.4 to 2.1)``."""
    value, low, high = (100 * number for number in (estimate.value, estimate.low, estimate.high))
    return f"{value:.1f} points ({low:.1f} to {high:.1f})"


def sentences(report: RobustnessReport) -> list[str]:
    """Return what was found, the most important first; failed checks come last, after ``warning:``."""
    found: list[str] = []
    if report.corruptions is not None:
        found += _of_corruptions(report.corruptions)
    if report.shifts is not None:
        found += _of_shifts(report.shifts)
    if report.attacks is not None:
        found += _of_attacks(report.attacks)
    return found + warnings_of(report)


def warnings_of(report: RobustnessReport) -> list[str]:
    """Return a sentence for every check that failed."""
    return [
        f"warning: the check {check.name.replace('_', ' ')!r} failed: {check.text}"
        for check in report.checks
        if not check.passed
    ]


def grids(report: RobustnessReport) -> list[Grid]:
    """Return the figures as tables."""
    found = []
    if report.corruptions is not None:
        found.append(_corruption_grid(report.corruptions))
    if report.shifts is not None:
        found.append(_shift_grid(report.shifts))
    if report.attacks is not None:
        found.append(_attack_grid(report.attacks))
    return found


def show_robustness(report: RobustnessReport) -> None:
    """Print the tables, the checks and the sentences."""
    for grid in grids(report):
        table(grid.title, grid.header, grid.rows)
    passed = sum(check.passed for check in report.checks)
    say(f"{passed} of {len(report.checks)} checks of the measurement itself passed")
    for sentence in sentences(report):
        say(sentence)


def _of_corruptions(report: CorruptionReport) -> list[str]:
    steps = {(series.name, step.strength): step for series in report.series for step in series.steps}
    count, strengths = len(report.series), len(report.series[0].steps)
    found = [
        f"over {count} corruptions in {strengths} strengths {share(report.mean_error)} of the answers are "
        f"wrong, {points(report.relative_error)} more than of the same pictures as they are"
    ]
    worst = max(report.series, key=lambda series: series.steps[-1].cost.value)
    found.append(_costs(worst, worst.steps[-1]) + ", the most of any")
    telling = steps.get((_JPEG, _JPEG_STRENGTH))
    if telling is not None and worst.name != _JPEG:
        jpeg = next(series for series in report.series if series.name == _JPEG)
        found.append(_costs(jpeg, telling))
    return found


def _costs(series: Series, step: Step) -> str:
    return f"{title_of(series.name)} ({step.setting}) costs {points(step.cost)}"


def _of_shifts(report: ShiftReport) -> list[str]:
    if not report.steps:
        return ["the network's input is too small to move pictures in it"]
    near = next((step for step in report.steps if step.pixels == _FEW_PX), report.steps[-1])
    told = [near] if near is report.steps[-1] else [near, report.steps[-1]]
    found = [
        f"a shift of {step.pixels} px changes the answer to {share(step.changed)} of the pictures in at "
        f"least one of four directions, and moves its probability by {points(step.moved_probability)} on "
        "average"
        for step in told
    ]
    if report.steps[-1].pixels > report.room_px:
        found.append(
            f"there is room to move every picture by {report.room_px} px; beyond that pictures were mirrored "
            "at their edge"
        )
    return found


def _of_attacks(report: AttackReport) -> list[str]:
    strongest = max(step.strength for series in report.series for step in series.steps)
    if report.halved_at is None:
        return [f"no PGD up to {strongest:g}/255 halves the accuracy", *_overshooting(report)]
    pgd = {step.strength: step for series in report.series if series.name == "pgd" for step in series.steps}
    left = pgd[report.halved_at].accuracy
    return [
        f"{report.halved_at:g}/255 of PGD ({report.steps} steps) is enough to halve the accuracy: "
        f"{share(left)} of the answers stay right"
        + (", by less than a file of 8 bits can hold" if report.halved_at < 1 else ""),
        *_overshooting(report),
    ]


def _overshooting(report: AttackReport) -> list[str]:
    """Say where the single step of FGSM goes too far, which looks like strength of the model and is none."""
    steps = next((series.steps for series in report.series if series.name == "fgsm"), ())
    if not steps:
        return []
    lowest, last = min(steps, key=lambda step: step.accuracy.value), steps[-1]
    if last.accuracy.low <= lowest.accuracy.high:
        return []
    return [
        f"the single step of FGSM goes too far at {last.strength:g}/255: more answers stay right than at "
        f"{lowest.strength:g}/255; PGD shows that this is no strength of the model"
    ]


def _corruption_grid(report: CorruptionReport) -> Grid:
    strengths = [f"{step.strength:g}" for step in report.series[0].steps]
    rows = [
        (title_of(series.name), *(f"{100 * step.accuracy.value:.1f}" for step in series.steps), _last(series))
        for series in report.series
    ]
    return Grid(
        f"Accuracy in percent by strength of corruption; clean {share(report.clean)}",
        ("corruption", *strengths, "the harshest costs (95 %)"),
        tuple(rows),
    )


def _last(series: Series) -> str:
    return f"{points(series.steps[-1].cost)}, {series.steps[-1].setting}"


def _shift_grid(report: ShiftReport) -> Grid:
    rows: Sequence[tuple[str, ...]] = [
        (f"{step.pixels} px", share(step.changed), points(step.moved_probability), share(step.accuracy))
        for step in report.steps
    ]
    return Grid(
        f"Moved in four directions; clean {share(report.clean)}",
        ("by", "another answer in one direction or more", "probability moves by", "accuracy"),
        tuple(rows),
    )


def _attack_grid(report: AttackReport) -> Grid:
    columns = [{step.strength: step for step in series.steps} for series in report.series]
    rows = [
        (f"{strength:g}/255", *(share(column[strength].accuracy) for column in columns))
        for strength in columns[0]
    ]
    return Grid(
        f"Accuracy under attack, torch fp32; clean {share(report.clean)}",
        ("largest change of a value", *(title_of(series.name) for series in report.series)),
        tuple(rows),
    )
