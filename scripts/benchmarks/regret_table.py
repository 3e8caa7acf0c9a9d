"""The tables of the regret benchmark, in Markdown, as they go into the documents."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import fmean, stdev

from benchmarks.cells import AUTO, FIXED, HALVES, STRATEGIES
from benchmarks.regret_figures import (
    ACCURACY,
    FIGURES,
    LOG_LOSS,
    SIZE_ONLY,
    CellResults,
    cells_of,
    mean_with_interval,
)
from benchmarks.results import Result

from catsdogs.core.estimate import Estimate

MOST_MEAN_POINTS, MOST_CELL_POINTS, MOST_TIME = 0.5, 1.0, 1.5
RULES = (*FIXED, SIZE_ONLY, AUTO)
_NONE = "–"


def markdown(results: Sequence[Result]) -> str:
    """Return all tables of these results."""
    cells = [cell for cell in cells_of(results) if cell.seeds]
    compared = [cell for cell in cells if cell.has(AUTO) and any(cell.has(name) for name in FIXED)]
    parts = ["### Accuracy in % (± its spread over seeds) and log loss", strategy_table(cells)]
    if compared:
        parts += ["### What `auto` loses in each cell", regret_table(compared)]
        parts += ["### Mean regret of every rule", rule_table(compared)]
        parts += ["### The limits", "\n".join(verdicts(compared))]
    failed = [result for result in results if not result.done]
    if failed:
        parts += [
            "### Failed runs",
            "\n".join(f"- {' '.join(map(str, one.run))}: {one.reason}" for one in failed),
        ]
    return "\n\n".join(parts)


def strategy_table(cells: Sequence[CellResults]) -> str:
    """Return a row a cell, a column a strategy; both halves together, the mean over seeds."""
    names = [name for name in STRATEGIES if any(cell.has(name) for cell in cells)]
    rows = []
    for cell in cells:
        shown = [_figures(cell.by_strategy[name]) if cell.has(name) else _NONE for name in names]
        rows.append([cell.name, str(len(cell.seeds)), *shown])
    return _table(["cell", "seeds", *names], rows)


def regret_table(cells: Iterable[CellResults]) -> str:
    """Return a row a cell: winners and ``auto`` on the half that did not choose the winner."""
    header = ["cell", "`auto` picked"]
    header += ["best accuracy", "on the other half, %", "`auto`, %", "regret, points"]
    header += ["best log loss", "on the other half", "`auto`", "regret", "time"]
    return _table(header, [_regret_row(cell) for cell in cells])


def rule_table(cells: Sequence[CellResults]) -> str:
    """Return a row a rule: its mean regret, and how far that is above ``auto``'s on the same cells."""
    header = ["rule", "cells", "regret, points", "above `auto`", "regret, log loss", "above `auto`"]
    rows = []
    for rule in RULES:
        tried = [cell for cell in cells if cell.has(rule)]
        if tried:
            row = [rule, str(len(tried))]
            for figure in FIGURES:
                row.append(_shown(mean_regret(tried, rule, figure), figure))
                row.append(_NONE if rule == AUTO else _shown(advantage(tried, rule, figure), figure))
            rows.append(row)
    return _table(header, rows)


def verdicts(cells: Sequence[CellResults]) -> list[str]:
    """Return a line for each limit that ``auto`` should keep."""
    mean = mean_regret(cells, AUTO, ACCURACY)
    over = [
        cell.name
        for cell in cells
        if 100 * mean_with_interval([cell.regrets(AUTO, ACCURACY)]).low > MOST_CELL_POINTS
    ]
    times = {cell.name: cell.time_ratio() for cell in cells if not math.isnan(cell.time_ratio())}
    lines = [
        f"- mean regret of `auto`: {_shown(mean, ACCURACY)} points; at most {MOST_MEAN_POINTS:g} is wanted",
        f"- cells whose interval lies wholly above {MOST_CELL_POINTS:g} point: {_listed(over)}",
    ]
    for figure in FIGURES:
        better = [rule for rule in _others(cells) if advantage(_tried(cells, rule), rule, figure).value <= 0]
        lines.append(f"- rules at least as good as `auto` on average, in {_named(figure)}: {_listed(better)}")
    if times:
        worst = max(times, key=lambda name: times[name])
        lines.append(
            f"- most time of `auto`: {times[worst]:.2f} times its choice ({worst}); at most {MOST_TIME:g}"
        )
    return lines


def mean_regret(cells: Iterable[CellResults], rule: str, figure: str) -> Estimate:
    """Return the mean over cells of a rule's regret."""
    return mean_with_interval([cell.regrets(rule, figure) for cell in cells])


def advantage(cells: Iterable[CellResults], rule: str, figure: str) -> Estimate:
    """Return by how much the regret of a rule is above that of ``auto``, paired."""
    return mean_with_interval([cell.costs(rule, figure) - cell.costs(AUTO, figure) for cell in cells])


def _others(cells: Sequence[CellResults]) -> list[str]:
    return [rule for rule in RULES if rule != AUTO and _tried(cells, rule)]


def _tried(cells: Iterable[CellResults], rule: str) -> list[CellResults]:
    return [cell for cell in cells if cell.has(rule)]


def _regret_row(cell: CellResults) -> list[str]:
    picked = Counter(result.picked for result in cell.by_strategy[AUTO])
    row = [
        cell.name,
        ", ".join(name if n == len(cell.seeds) else f"{name} ({n})" for name, n in picked.items()),
    ]
    for figure in FIGURES:
        winners = dict.fromkeys(cell.winner(figure, half) for half in range(len(HALVES)))
        row += [", ".join(winners), _value(float(cell.winners_costs(figure).mean()), figure)]
        row.append(_value(float(cell.costs(AUTO, figure).mean()), figure))
        row.append(_shown(mean_with_interval([cell.regrets(AUTO, figure)]), figure))
    ratio = cell.time_ratio()
    return [*row, _NONE if math.isnan(ratio) else f"{ratio:.2f}"]


def _figures(results: Sequence[Result]) -> str:
    accuracies = [50 * (one.accuracy_a + one.accuracy_b) for one in results]
    losses = [(one.log_loss_a + one.log_loss_b) / 2 for one in results]
    spread = f" ± {stdev(accuracies):.1f}" if len(results) > 1 else ""
    return f"{fmean(accuracies):.1f}{spread} / {fmean(losses):.3f}"


def _value(cost: float, figure: str) -> str:
    return f"{100 * (1 - cost):.1f}" if figure == ACCURACY else f"{cost:.3f}"


def _shown(estimate: Estimate, figure: str) -> str:
    scale, digits = (100, 2) if figure == ACCURACY else (1, 3)
    value, low, high = (
        f"{scale * limit:.{digits}f}" for limit in (estimate.value, estimate.low, estimate.high)
    )
    return f"{value} ({low} to {high})"


def _named(figure: str) -> str:
    return {ACCURACY: "accuracy", LOG_LOSS: "log loss"}[figure]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
