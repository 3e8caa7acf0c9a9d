"""Set the thresholds of ``auto`` for every domain on all the others, for the regret benchmark to use.

    python scripts/benchmark.py thresholds --real FOLDER [--seeds SEEDS ...]

Each seed draws the pictures of every cell anew, other draws than those of the regret benchmark. The draws are
kept in a CSV and not made again; the thresholds go to a JSON that ``benchmark.py regret`` reads.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
from benchmarks.cells import CELLS, WEIGHTS, Cell, write_manifests
from benchmarks.results import read_results
from benchmarks.threshold_choice import (
    Draw,
    choose_for,
    read_draws,
    table,
    write_draws,
    write_thresholds,
)

from catsdogs.core.cachefolder import cache_folder
from catsdogs.core.records import ImageRecord

SEEDS = (10, 11, 12, 13, 14)


def main(words: Sequence[str]) -> None:
    """Make the draws that are missing, set the thresholds and print both."""
    options = _parser().parse_args(words[1:])
    draws = read_draws(options.draws)
    known = {(draw.cell, draw.seed) for draw in draws}
    cells = [cell for cell in CELLS.values() if cell.pictures <= options.most]
    left = [(cell, seed) for seed, cell in product(options.seeds, cells) if (cell.name, seed) not in known]
    work = (options.work or cache_folder() / "benchmark").absolute()
    for number, (cell, seed) in enumerate(left, 1):
        draws.append(measure_draw(cell, seed, real=options.real.absolute(), work=work))
        write_draws(options.draws, draws)
        print(f"{number}/{len(left)} {draws[-1]}", flush=True)
    results = list(read_results(options.results).values())
    kins = dict.fromkeys(cell.domain.kin for cell in CELLS.values())
    chosen = {kin: choose_for(kin, draws, results) for kin in kins}
    write_thresholds(options.out, chosen)
    print(table(draws, chosen))


def measure_draw(cell: Cell, seed: int, *, real: Path, work: Path) -> Draw:
    """Measure a draw of a cell as ``auto`` does, and score its two candidates on the test pictures.

    Args:
        cell: What is drawn for.
        seed: Of the draw.
        real: Folder of real pictures and weights.
        work: Folder for what the benchmark makes; features stay in the cache from draw to draw.
    """
    from benchmarks.execution import settings_for

    from catsdogs.core.temperature import log_losses
    from catsdogs.data.layouts import find_labelled
    from catsdogs.transfer.evidence import measure
    from catsdogs.transfer.labelled import Study
    from catsdogs.transfer.scoring import ScoredProbe, standard_error
    from catsdogs.workflows.study import open_base, study
    from catsdogs.workflows.workers import decoding_workers

    manifests = write_manifests(cell, seed, real=real, work=work)
    settings = settings_for(cell, "auto", seed=seed, pictures=manifests.train, weights=real / WEIGHTS)
    learning, testing = (find_labelled(str(path)) for path in manifests)
    base = open_base(
        settings,
        learning.class_names,
        training_pictures=len(learning.records),
        weights=settings.model.weights,
    )

    def studied(records: Sequence[ImageRecord]) -> Study:
        return study(base, records, {}, seed=seed, workers=decoding_workers())

    learned, tested = studied(learning.records), studied(testing.records)
    evidence = measure(learned)

    def loss(scored: ScoredProbe) -> float:
        probe = scored.probe
        logits = probe.logits(tested.features.of(scored.stages)) / probe.temperature
        return float(log_losses(logits, tested.labels).mean())

    safe, best = evidence.safest, evidence.best_frozen
    paired = len(safe.losses) == len(best.losses)
    gaps = safe.losses - best.losses if paired else np.zeros(2)
    return Draw(
        cell.name,
        seed,
        pictures=evidence.pictures,
        gap=float(gaps.mean()),
        error=standard_error(gaps) or 0.0,
        safe=loss(safe),
        best=loss(best),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="benchmark.py thresholds",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--real", type=Path, required=True, help="folder with data/ and weights/")
    parser.add_argument("--seeds", nargs="*", type=int, default=SEEDS, help="of the draws; none makes none")
    parser.add_argument("--most", type=int, default=2000, help="cells with more pictures are left out")
    parser.add_argument("--work", type=Path, help="folder for pictures")
    parser.add_argument("--draws", type=Path, default=Path("docs/thresholds.csv"))
    parser.add_argument("--results", type=Path, default=Path("docs/regret.csv"))
    parser.add_argument("--out", type=Path, default=Path("docs/thresholds.json"))
    return parser
