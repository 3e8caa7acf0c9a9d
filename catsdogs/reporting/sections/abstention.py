"""What withholding the least sure answers would change."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from catsdogs.core.estimate import Estimate
from catsdogs.core.predictions import Predictions
from catsdogs.evaluation.abstention import (
    RiskCoverage,
    Threshold,
    conformal_threshold,
    risk_coverage,
    withhold,
)
from catsdogs.reporting.console import figure_text
from catsdogs.reporting.page.blocks import Block, Drawing, Grid, Section, Words

WANTED = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05)
_TOLD = (0.8, 0.9, 0.95, 0.99, 1.0)


def abstention_section(test: Predictions, held_out: Predictions | None) -> Section:
    """Return the risk-coverage curve of the test pictures, and thresholds from the held-out ones.

    Args:
        test: Answers with labels.
        held_out: Answers with labels that taught the model nothing; None where there are none.
    """
    curve = risk_coverage(test)
    thresholds = [] if held_out is None else [conformal_threshold(held_out, wanted) for wanted in WANTED]
    possible = [one for one in thresholds if one.possible]
    blocks: list[Block] = [
        Drawing("Error against coverage", partial(draw_risk, curve), _told(curve)),
    ]
    if possible and held_out is not None:
        blocks += [_promises(possible, test), Words(_guarantee(possible[0]))]
    return Section(
        "abstention", "What leaving out doubtful answers would change", _lead(test, possible), tuple(blocks)
    )


def _lead(test: Predictions, possible: Sequence[Threshold]) -> str:
    error = withhold(test, 0.0).wrong
    lead = f"{figure_text('accuracy', error)} of all answers are wrong."
    if not possible:
        return f"{lead} Too few held-out pictures promise no threshold."
    useful = [one for one in possible if one.error_rate < error.value] or [possible[0]]
    chosen = useful[-1]
    found = withhold(test, chosen.confidence)
    rule = f"answer from a confidence of {chosen.confidence:.3f}" if chosen.confidence > 0 else "answer all"
    return (
        f"{lead} To let at most {chosen.error_rate:.1%} of pictures get a wrong one, {rule}: "
        f"{found.answered.value:.1%} of the test pictures get an answer, and "
        f"{figure_text('accuracy', found.wrong)} a wrong one{_missed(found.wrong, chosen.error_rate)}."
    )


def _missed(wrong: Estimate, wanted: float) -> str:
    """Say so where a threshold let more mistakes pass than it promised on average."""
    if wrong.value <= wanted:
        return ""
    if wrong.low <= wanted:
        return f", which is more than {wanted:.1%}, but within what chance does to so few pictures"
    return f", which is more than {wanted:.1%} beyond chance: they are unlike the held-out pictures"


def _promises(possible: Sequence[Threshold], test: Predictions) -> Grid:
    rows = []
    for one in possible:
        found = withhold(test, one.confidence)
        rows.append(
            (
                f"{one.error_rate:.1%}",
                f"{one.confidence:.4f}",
                figure_text("accuracy", found.wrong),
                figure_text("accuracy", found.answered),
                figure_text("accuracy", found.accuracy),
            )
        )
    header = ("wanted at most", "answer from", "wrong, of all", "answered", "right, of the answers")
    return Grid(
        "Thresholds from held-out pictures, and what they did on the test pictures", header, tuple(rows)
    )


def _guarantee(one: Threshold) -> str:
    return (
        f"The thresholds come from {one.held_out:,} held-out pictures by conformal risk control. Their "
        "promise: of new pictures like those, at most the wanted share gets a wrong answer, on average over "
        "the draw of both. It holds however wrong the probabilities are, and says nothing of other kinds of "
        "pictures."
    )


def _told(curve: RiskCoverage) -> str:
    parts = []
    for share in _TOLD:
        place = int((curve.coverage <= share + 1e-9).sum()) - 1
        if place >= 0:
            parts.append(f"surest {curve.coverage[place]:.0%}: {curve.risk[place].value:.2%} wrong")
    return f"Of the {'; of the '.join(parts)}."


def draw_risk(curve: RiskCoverage) -> Figure:
    """Draw the share of wrong answers against the share of pictures that get one."""
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.subplots()
    x = curve.coverage
    axes.fill_between(
        x, [one.low for one in curve.risk], [one.high for one in curve.risk], color="tab:blue", alpha=0.15
    )
    axes.plot(x, [one.value for one in curve.risk], color="tab:blue")
    axes.set_xlabel("share of the pictures that get an answer, the surest first")
    axes.set_ylabel("wrong answers")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlim(0, 1)
    # The first few answers have wide intervals that would hide the rest.
    axes.set_ylim(0, max(2.5 * max(one.value for one in curve.risk), 0.02))
    axes.grid(alpha=0.3)
    return figure
