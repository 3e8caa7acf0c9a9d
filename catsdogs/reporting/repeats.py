"""Folds and seeds as tables, with what their spread does and does not say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from catsdogs.core.estimate import Estimate
from catsdogs.core.report import EvaluationReport
from catsdogs.evaluation.repeats import Spread
from catsdogs.reporting.console import SHARES, figure_text, say, table

COMPARED = ("accuracy", "log_loss")
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


def show_comparison(change: str, results: Sequence[Mapping[str, Any]], gains: Mapping[str, Estimate]) -> None:
    """Print a row a seed, and what the settings as asked for have over the changed ones."""
    heads = [f"{_title(name)}{suffix}" for name in COMPARED for suffix in ("", ", changed")]
    places = [(name, key) for name in COMPARED for key in ("as_asked", "changed")]
    table(
        f"{len(results)} seeds, as asked and with {change}",
        ("seed", "test pictures", *heads),
        [
            (
                str(one["seed"]),
                f"{one['n']:,}",
                *(_value(name, one[key][name]["value"]) for name, key in places),
            )
            for one in results
        ],
    )
    for name, gain in gains.items():
        factor, unit = (100, " points") if name in SHARES else (1, "")
        mean, low, high = (f"{value * factor:+.3g}" for value in (gain.value, gain.low, gain.high))
        certain = "" if gain.low > 0 or gain.high < 0 else ": no difference is shown"
        interval = f"({low} to {high}, 95 % over seeds)"
        say(f"as asked minus changed, {_title(name)}: {mean}{unit} {interval}{certain}")


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
