"""An ensemble on the terminal."""

from __future__ import annotations

from catsdogs.core.ensemblereport import EnsembleReport
from catsdogs.evaluation.comparison import sentence
from catsdogs.evaluation.ensembles import why
from catsdogs.reporting.console import say, table
from catsdogs.reporting.sections.ensemble import made_of, members_grid


def show_ensemble(report: EnsembleReport) -> None:
    """Print members, how they vote, what that brought, and why not more."""
    grid = members_grid(report)
    table(grid.title, grid.header, grid.rows)
    say(made_of(report))
    for line in why(report):
        say(line)
    if report.judgement is not None:
        compared = report.judgement.comparison
        say(f"{sentence(compared, compared.others[0])}.")
