"""What several views of each picture change."""

from __future__ import annotations

from collections.abc import Sequence

from catsdogs.core.report import EvaluationReport
from catsdogs.reporting.console import figure_text, signed_text
from catsdogs.reporting.page.blocks import Grid, Section


def views_section(reports: Sequence[EvaluationReport]) -> Section | None:
    """Return a table of the evaluations with several views; None where there was none."""
    rows = tuple(
        (
            one.tta,
            _pictures(one),
            one.views.merge,
            figure_text("accuracy", one.metrics["accuracy"]),
            f"+{one.views.wrong_to_right:,} / -{one.views.right_to_wrong:,}",
            signed_text("accuracy", one.views.gain["accuracy"]),
            signed_text("log_loss", one.views.gain["log_loss"]),
            "-" if one.views.picture_ms is None else f"{one.views.picture_ms:.1f} ms",
        )
        for one in reports
        if one.views is not None
    )
    if not rows:
        return None
    header = (
        "views",
        "pictures",
        "merged by",
        "accuracy",
        "mended / spoilt",
        "gain in accuracy",
        "gain in log loss",
    )
    proven = [row[0] for row, one in zip(rows, _with_views(reports), strict=True) if _proven(one)]
    lead = (
        f"Beyond chance are the gains of {', '.join(proven)}."
        if proven
        else "No set of views is proven to be better than the plain one."
    )
    return Section(
        "views", "What several views change", lead, (Grid("Paired", (*header, "a picture"), rows),)
    )


def _with_views(reports: Sequence[EvaluationReport]) -> list[EvaluationReport]:
    return [one for one in reports if one.views is not None]


def _proven(report: EvaluationReport) -> bool:
    assert report.views is not None
    return any(gain.defined and gain.low > 0 for gain in report.views.gain.values())


def _pictures(report: EvaluationReport) -> str:
    return f"{report.n:,} {report.split}"
