"""What came of poisoning a training, as a table and as a figure."""

from __future__ import annotations

from matplotlib.figure import Figure

from catsdogs.core.estimate import Estimate
from catsdogs.evaluation.poisoning import FIRST, PoisonReport
from catsdogs.reporting.console import say, table

HEADER = (
    "poisoned",
    "test accuracy",
    "misled by the patch",
    f"in the first {FIRST:.0%} of the list",
    "median place",
    "suspected by the model",
    "found as duplicates",
)


def poison_rows(report: PoisonReport) -> list[tuple[str, ...]]:
    """Return a row without poison and one a dose, as ``HEADER`` names its cells."""
    rows: list[tuple[str, ...]] = [
        ("none", _text(report.clean.accuracy), _text(report.clean.misled), "", "", "", "")
    ]
    for dose in report.doses:
        traces = dose.traces
        rows.append(
            (
                f"{dose.poisoned} ({dose.share:.1%})",
                _text(dose.answers.accuracy),
                _text(dose.answers.misled),
                _text(traces.first),
                f"{traces.median_rank:g} of {traces.listed:,}",
                f"{traces.suspected} of {dose.poisoned}",
                f"{traces.duplicates} of {dose.poisoned}",
            )
        )
    return rows


def show_poison(report: PoisonReport) -> None:
    """Print the table and the sentence."""
    table(f"{report.victim} with a patch, labelled {report.target}", HEADER, poison_rows(report))
    say(report.sentence)


def draw_poison(report: PoisonReport) -> Figure:
    """Draw, against the share of poisoned pictures, what the patch does and what the lists show."""
    figure = Figure(figsize=(6, 4.2), layout="constrained")
    axes = figure.subplots()
    shares = [100 * dose.share for dose in report.doses]
    misled = [dose.answers.misled for dose in report.doses]
    first = [dose.traces.first for dose in report.doses]
    lines = (
        ("patched pictures that are misled", misled, "tab:red", "o-"),
        (f"poison in the first {FIRST:.0%} of the list", first, "tab:blue", "s--"),
    )
    for label, estimates, colour, style in lines:
        values = [estimate.value for estimate in estimates]
        axes.plot(shares, values, style, color=colour, label=label)
        axes.fill_between(
            shares, [one.low for one in estimates], [one.high for one in estimates], color=colour, alpha=0.15
        )
    flagged = [dose.traces.flagged / dose.poisoned for dose in report.doses]
    axes.plot(shares, flagged, "^:", color="tab:green", label="poison suspected, by model or as duplicate")
    axes.set_xlabel("poisoned training pictures, %")
    axes.set_ylabel("share")
    axes.set_ylim(-0.03, 1.03)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", fontsize=8)
    return figure


def _text(share: Estimate) -> str:
    if not share.defined:
        return "-"
    return f"{share.value:.1%} ({share.low:.0%} to {share.high:.0%})"
