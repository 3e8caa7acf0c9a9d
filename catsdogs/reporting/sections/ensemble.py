"""The section about an ensemble: what it brought, and why not more."""

from __future__ import annotations

import math
from functools import partial

from catsdogs.core.ensemblereport import EnsembleReport, Judgement
from catsdogs.evaluation.comparison import sentence
from catsdogs.evaluation.ensembles import majority_error, why
from catsdogs.reporting.console import figure_text
from catsdogs.reporting.ensemblefigures import draw_ensemble
from catsdogs.reporting.page.blocks import Block, Drawing, Grid, Section, Words
from catsdogs.reporting.sections.comparison import comparison_section

_KINDS = {"soft": "mean of probabilities", "majority": "majority vote", "soup": "mean of weights"}


def ensemble_section(report: EnsembleReport, *, anchor: str = "ensemble") -> Section:
    """Return what the page says about an ensemble.

    Args:
        report: Of the ensemble.
        anchor: What links call the section.
    """
    blocks: list[Block] = [Words(line) for line in why(report)]
    blocks += [Words(made_of(report)), members_grid(report)]
    judgement = report.judgement
    if judgement is None:
        return Section(anchor, "Ensemble", why(report)[0], tuple(blocks[1:]))
    drawing = partial(draw_ensemble, judgement, tuple(report.weights))
    blocks.append(Drawing("Quality against the number of members", drawing, _spoken(judgement)))
    blocks.append(_sizes(judgement))
    compared = comparison_section(judgement.comparison, anchor=anchor)
    blocks += [block for block in compared.blocks if not isinstance(block, Drawing)]
    lead = f"{sentence(judgement.comparison, judgement.comparison.others[0])}."
    return Section(anchor, "Ensemble", lead, tuple(blocks))


def made_of(report: EnsembleReport) -> str:
    """Say how members vote, how that was decided, and at which temperature."""
    left = f" Left out: {', '.join(report.left_out)}." if report.left_out else ""
    where = f"{report.heldout:,} pictures" if report.heldout else "nothing: it is the given one"
    return (
        f"{len(report.weights)} members, {_KINDS[report.kind]}; {report.decided}. "
        f"Temperature {report.temperature:.2f}, from {where}.{left}"
    )


def members_grid(report: EnsembleReport) -> Grid:
    """Return weights, and shares of wrong answers where they are known."""
    judgement = report.judgement
    rows = []
    for name in (*report.weights, *report.left_out):
        weight = f"{report.weights[name]:.3f}" if name in report.weights else "-"
        error = figure_text("accuracy", judgement.members[name]) if judgement else "-"
        rows.append((name, weight, error))
    if judgement is not None:
        rows.append(("the ensemble", "", figure_text("accuracy", judgement.error)))
    return Grid("Members", ("member", "weight", "wrong answers (95 % interval)"), tuple(rows))


def _sizes(judgement: Judgement) -> Grid:
    alone = judgement.sizes[0].error
    rows = tuple(
        (
            str(size.members),
            str(size.subsets),
            f"{size.error:.2%} ({size.error_low:.2%} to {size.error_high:.2%})",
            f"{majority_error(size.members, alone):.2%}",
            f"{size.log_loss:.4f} ({size.log_loss_low:.4f} to {size.log_loss_high:.4f})",
        )
        for size in judgement.sizes
    )
    header = ("members", "subsets", "wrong (best to worst)", "if independent", "log loss (best to worst)")
    return Grid("Subsets of the members, equal weights", header, rows, folded=True)


def _spoken(judgement: Judgement) -> str:
    first, last = judgement.sizes[0], judgement.sizes[-1]
    correlation = judgement.mean_correlation
    alike = "" if math.isnan(correlation) else f" The errors correlate by {correlation:.2f} on average."
    return (
        f"One member alone is wrong about {first.error:.2%} on average, with log loss {first.log_loss:.4f}; "
        f"all {last.members} together about {last.error:.2%}, with {last.log_loss:.4f}. Independent members "
        f"would come to {majority_error(last.members, first.error):.2%}.{alike}"
    )
