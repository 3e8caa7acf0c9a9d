"""Measure the regret of ``auto``: what is lost against the best strategy of each cell of the transfer matrix.

    python scripts/benchmark.py regret --real FOLDER [--cells NAME ...] [--strategies NAME ...] [--minutes N]
    python scripts/benchmark.py regret --table > table.md

A cell is a domain and a number of training pictures; every seed draws them anew. Each strategy trains on
them and is scored on test pictures that catsdogs never sees. Runs that the CSV holds are not run again, so
an interrupted benchmark goes on where it was. ``auto`` runs with thresholds that were set without the cell's
domain (``benchmark.py thresholds``). What it makes lies in the work folder, which may be deleted.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

from benchmarks.cells import CELLS, STRATEGIES, WEIGHTS
from benchmarks.regret_table import markdown
from benchmarks.results import Result, Run, add_result, read_results
from benchmarks.threshold_choice import read_thresholds

from catsdogs.core.cachefolder import cache_folder
from catsdogs.core.errors import UserError

SEEDS = (0, 1, 2)


def main(words: Sequence[str]) -> None:
    """Parse, run what is missing, print the table."""
    options = _parser().parse_args(words[1:])
    try:
        if not options.table:
            _run_missing(options)
        print(markdown(_selected(read_results(options.out), options)))
    except UserError as error:
        raise SystemExit(f"benchmark: {error}") from None
    except KeyboardInterrupt:
        print("interrupted: the same command goes on where it was", file=sys.stderr)
        raise SystemExit(130) from None


def planned(cells: Iterable[str], seeds: Iterable[int], strategies: Sequence[str] | None) -> list[Run]:
    """Return the runs, those first that tell most for their time.

    Every cell has one seed of the cheapest strategy before any has the next, and small cells come first.

    Args:
        cells: Names of cells.
        seeds: In the order of their turns.
        strategies: Those to run; None takes those that fit the time of each domain.
    """
    small_first = sorted(cells, key=lambda name: CELLS[name].pictures)
    return [
        Run(cell, seed, strategy)
        for seed in seeds
        for strategy in STRATEGIES
        for cell in small_first
        if strategy in (CELLS[cell].domain.strategies if strategies is None else strategies)
    ]


def missing(runs: Iterable[Run], known: Mapping[Run, Result], *, again: str | None) -> Iterator[Run]:
    """Yield the runs without a result.

    Args:
        runs: In their order.
        known: What the CSV holds.
        again: A label; then runs that failed or carry another label count as missing too.
    """
    for run in runs:
        result = known.get(run)
        if result is None or (again is not None and (result.label != again or not result.done)):
            yield run


def run_all(
    runs: Sequence[Run],
    out: Path,
    execute: Callable[[Run], Result],
    *,
    minutes: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Execute runs one after the other, keep each result at once, and print a line for each.

    Args:
        runs: In their order.
        out: The CSV.
        execute: Runs one.
        minutes: No run starts later than this.
        clock: Seconds.
    """
    started = clock()
    for number, run in enumerate(runs, 1):
        if minutes is not None and clock() - started >= 60 * minutes:
            print(f"{minutes:g} minutes are over: {len(runs) - number + 1} runs are left")
            return
        result = execute(run)
        add_result(out, result)
        print(f"{number}/{len(runs)} {' '.join(map(str, run))}: {_told(result)}", flush=True)


def _run_missing(options: argparse.Namespace) -> None:
    _require_files(options.real, options.cells)
    # Torch, timm and Lightning take seconds to import, and a table needs none of them.
    from benchmarks.execution import Places, code_version, execute

    from catsdogs.cli.allocator import tune_allocator

    tune_allocator()
    places = Places(options.real.absolute(), (options.work or cache_folder() / "benchmark").absolute())
    code = code_version()
    thresholds = read_thresholds(options.thresholds)

    def execute_one(run: Run) -> Result:
        cell = CELLS[run.cell]
        result = execute(cell, run.seed, run.strategy, places, thresholds.get(cell.domain.kin))
        return replace(result, label=options.label, code=code)

    again = options.label if options.again else None
    runs = planned(options.cells, options.seeds or SEEDS, options.strategies)
    left = list(missing(runs, read_results(options.out), again=again))
    print(f"{len(left)} of {len(runs)} runs are left; logs are in {places.work / 'runs'}", flush=True)
    run_all(left, options.out, execute_one, minutes=options.minutes)


def _require_files(real: Path | None, cells: Iterable[str]) -> None:
    if real is None:
        raise UserError("say with --real where the real pictures and weights are")
    for name in (WEIGHTS, *(CELLS[cell].domain.source for cell in cells)):
        if not (real / name).is_file():
            raise UserError(f"there is no file {real / name}")


def _selected(results: Mapping[Run, Result], options: argparse.Namespace) -> list[Result]:
    """Return the results that were asked for, in the order of cells, seeds and strategies."""
    cells = [name for name in CELLS if name in options.cells]
    seeds = options.seeds or sorted({run.seed for run in results})
    runs = [Run(*run) for run in product(cells, seeds, options.strategies or STRATEGIES)]
    return [results[run] for run in runs if run in results]


def _told(result: Result) -> str:
    if not result.done:
        return f"failed: {result.reason}"
    picked = f" -> {result.picked}" if result.picked != result.strategy else ""
    return (
        f"accuracy {result.accuracy_a:.2%} and {result.accuracy_b:.2%}, "
        f"log loss {result.log_loss_a:.4f} and {result.log_loss_b:.4f}, {result.seconds:.1f} s{picked}"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="benchmark.py regret", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--real", type=Path, help="folder with data/ and weights/, as CONTRIBUTING.md says")
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS), metavar="NAME")
    parser.add_argument("--strategies", nargs="+", choices=STRATEGIES, metavar="NAME")
    parser.add_argument("--seeds", nargs="+", type=int, help="default: 0 1 2; for the table, all")
    parser.add_argument("--minutes", type=float, help="start no run after this time")
    parser.add_argument("--out", type=Path, default=Path("docs/regret.csv"))
    parser.add_argument("--work", type=Path, help="folder for pictures, logs and predictions")
    parser.add_argument(
        "--thresholds", type=Path, default=Path("docs/thresholds.json"), help="of auto, for each domain"
    )
    parser.add_argument("--label", default="", help="what to call this version of the strategies")
    parser.add_argument("--again", action="store_true", help="run again what failed or carries another label")
    parser.add_argument("--table", action="store_true", help="run nothing, print the table of the CSV")
    return parser
