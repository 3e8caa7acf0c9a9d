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
        return Section("summary", "In short", f"{made_by}. No picture was kept to test it.")
    accuracy = report.metrics["accuracy"]
    good = f"{made_by} gets {figure_text('accuracy', accuracy)} of {report.n:,} unseen pictures right"
    return Section("summary", "In short", f"{good}. {_sure(report, curve)}. {_fails(report, findings)}.")


def _sure(report: EvaluationReport, curve: RiskCoverage) -> str:
    gap = report.metrics["ece"]
    honest = "can be taken at their word" if gap.low < _CALIBRATED else "cannot be taken at their word"
    place = max(int((curve.coverage <= 0.9).sum()) - 1, 0)
    return (
        f"Its probabilities {honest} (off by {gap.value:.1%} on average, {gap.low:.1%} to {gap.high:.1%}), "
        f"and of the surest {curve.coverage[place]:.0%} of answers {curve.risk[place].value:.2%} are wrong"
    )


def _fails(report: EvaluationReport, findings: Sequence[str]) -> str:
    recalls = sorted((figures["recall"].value, name) for name, figures in report.per_class.items())
    known = [(value, name) for value, name in recalls if value == value]
    parts = list(findings)
    if known and known[0][0] < known[-1][0]:
        parts.insert(0, f"it finds {known[0][1]} least often ({known[0][0]:.1%} of them)")
    text = "; ".join(parts) or "it finds every class as often as the others"
    return f"{text[:1].upper()}{text[1:]}"
