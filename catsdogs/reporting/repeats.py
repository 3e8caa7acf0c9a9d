"""Folds and seeds as tables, with what their spread does and does not say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from catsdogs.core.report import Estimate, EvaluationReport
from catsdogs.evaluation.repeats import Spread
from catsdogs.reporting.console import SHARES, figure_text, say, table

_SHOWN = ("accuracy", "balanced_accuracy", "log_loss")


def show_folds(
    results: Sequence[Mapping[str, Any]], spread: Mapping[str, Spread], pooled: EvaluationReport
) -> None:
    """Print a row a fold, mean and spread, and the figures over all pictures with their intervals."""
    table(
        f"{len(results)} folds",
        ("fold", "pictures", "strategy", *map(_title, _SHOWN)),
        [*_rows(results, "fold"), _spread_row(spread)],
    )
    say(
        "the folds share most of their training pictures: their spread shows how single runs differ, "
        "and is no interval for the mean"
    )
    for name in _SHOWN:
        say(f"out of fold, {pooled.n:,} pictures: {_title(name)} {figure_text(name, pooled.metrics[name])}")


def show_seeds(
    results: Sequence[Mapping[str, Any]], spread: Mapping[str, Spread], means: Mapping[str, Estimate]
) -> None:
    """Print a row a seed, mean and spread over the seeds, and the mean's interval over the pictures."""
    table(
        f"{len(results)} seeds, the same pictures",
        ("seed", "pictures", "strategy", *map(_title, _SHOWN)),
        [*_rows(results, "seed"), _spread_row(spread)],
    )
    say("the spread is what chance in training does on these pictures; other pictures move the figures too:")
    for name, estimate in means.items():
        say(f"mean over seeds, 95 % over the draw of pictures: {_title(name)} {figure_text(name, estimate)}")


def _rows(results: Sequence[Mapping[str, Any]], kind: str) -> list[tuple[str, ...]]:
    return [
        (
            str(result[kind]),
            f"{result['n']:,}",
            str(result["strategy"]),
            *(_value(name, result["metrics"][name]["value"]) for name in _SHOWN),
        )
        for result in results
    ]


def _spread_row(spread: Mapping[str, Spread]) -> tuple[str, ...]:
    cells = [
        f"{_value(name, spread[name].mean)} ± {_value(name, spread[name].deviation)}"
        if name in spread
        else "-"
        for name in _SHOWN
    ]
    return ("mean ± sd", "", "", *cells)


def _value(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2%}" if name in SHARES else f"{value:.4f}"


def _title(name: str) -> str:
    return name.replace("_", " ")
