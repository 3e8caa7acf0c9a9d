"""A run in three sentences: how good, how sure, and where it fails."""

from __future__ import annotations

from collections.abc import Sequence

from catsdogs.core.report import EvaluationReport
from catsdogs.evaluation.abstention import RiskCoverage
from catsdogs.reporting.console import figure_text
from catsdogs.reporting.page.blocks import Section

_CALIBRATED = 0.02


def summary_section(
    made_by: str,
    report: EvaluationReport | None,
    curve: RiskCoverage | None,
    findings: Sequence[str],
) -> Section:
    """Return the summary.

    Args:
        made_by: Strategy, backbone and training pictures, in a few words.
        report: Of the test pictures; None where there were none.
        curve: Risk and coverage of the same.
        findings: What else was found, each as part of a sentence.
    """
    if report is None or curve is None:
        return Section("summary", "In short", f"{made_by}: no picture was kept to test it.")
    accuracy = report.metrics["accuracy"]
    good = f"{made_by}, gets {figure_text('accuracy', accuracy)} of {report.n:,} unseen pictures right"
    return Section("summary", "In short", f"{good}. {_sure(report, curve)}. {_fails(report, findings)}.")


def _sure(report: EvaluationReport, curve: RiskCoverage) -> str:
    gap, accuracy = report.metrics["ece"], report.metrics["accuracy"]
    # So few pictures may be right more or less often than the probabilities said by chance.
    chance = (accuracy.high - accuracy.low) / 2
    if max(gap.high, chance) < _CALIBRATED:
        honest = "Its probabilities can be taken at their word"
    elif gap.low >= _CALIBRATED and gap.value > chance:
        honest = "Its probabilities cannot be taken at their word"
    else:
        honest = "More pictures would tell whether its probabilities can be taken at their word"
    place = max(int((curve.coverage <= 0.9).sum()) - 1, 0)
    wrong = figure_text("accuracy", curve.risk[place])
    return (
        f"{honest} (off by {gap.value:.1%} on average, {gap.low:.1%} to {gap.high:.1%}), "
        f"and of the surest {curve.coverage[place]:.0%} of answers {wrong} are wrong"
    )


def _fails(report: EvaluationReport, findings: Sequence[str]) -> str:
    recalls = {name: figures["recall"] for name, figures in report.per_class.items()}
    known = sorted((name for name in recalls if recalls[name].defined), key=lambda name: recalls[name].value)
    parts = list(findings)
    if known and recalls[known[0]].value < recalls[known[-1]].value:
        parts.insert(
            0, f"it finds {known[0]} least often: {figure_text('recall', recalls[known[0]])} of them"
        )
    elif len(known) == len(recalls):
        parts.insert(0, "it finds every class as often as the others")
    if len(known) < len(recalls):
        parts.append(f"the test holds pictures of {len(known)} of its {len(recalls)} classes alone")
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}"
