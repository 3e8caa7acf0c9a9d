"""Thresholds of ``auto`` for a domain, chosen on all others: where it was set, a rule is flattered."""

from __future__ import annotations

import csv
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import fmean

from benchmarks.cells import CELLS, FIXED
from benchmarks.regret_figures import LOG_LOSS, CellResults, cells_of
from benchmarks.results import Result

from catsdogs.core.files import replacing, write_json
from catsdogs.transfer.thresholds import Thresholds

CAUTIONS = (0.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0)
NEVER = 10**9
"""A number of pictures that no set has: gradient epochs are not considered."""
_FROZEN, _TUNED = FIXED[:3], "finetune_full"


@dataclass(frozen=True)
class Draw:
    """What the choice between two probes rests on in one draw of a cell, and what each was worth.

    Attributes:
        cell: As ``cells.CELLS`` names it.
        seed: Of the draw.
        pictures: That were learned from.
        gap: By how much the cross-validated log loss of the best probe is below that of the safest.
        error: Paired standard error of the gap.
        safe: Log loss of the safest on the test pictures.
        best: The same of the best.
    """

    cell: str
    seed: int
    pictures: int
    gap: float
    error: float
    safe: float
    best: float

    def loss(self, caution: float) -> float:
        """Return the log loss on the test pictures of what this much caution takes."""
        return self.best if self.gap > caution / self.pictures * self.error else self.safe


def read_draws(path: Path) -> list[Draw]:
    """Return the draws of a CSV; none where there is no file yet."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    kinds = {"str": str, "int": int, "float": float}
    return [
        Draw(**{field.name: kinds[str(field.type)](row[field.name]) for field in fields(Draw)})
        for row in rows
    ]


def write_draws(path: Path, draws: Iterable[Draw]) -> None:
    """Write the draws as CSV, whole or not at all."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, [field.name for field in fields(Draw)], lineterminator="\n")
        writer.writeheader()
        for draw in draws:
            values = asdict(draw).items()
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in values})


def choose_for(kin: str, draws: Sequence[Draw], results: Sequence[Result]) -> Thresholds:
    """Return the thresholds that are best on average over the cells of all other domains.

    Args:
        kin: The domains with this name of kin are left out.
        draws: Of any cells; they set ``caution``.
        results: Of the regret benchmark, of any cells; they set ``plenty``.
    """
    others = [draw for draw in draws if CELLS[draw.cell].domain.kin != kin]
    cells = [cell for cell in cells_of(results) if cell.seeds and CELLS[cell.name].domain.kin != kin]
    usual = Thresholds().caution
    ranked = sorted(CAUTIONS, key=lambda one: (mean_loss(others, one), abs(one - usual)))
    return Thresholds(plenty=plenty(cells), caution=ranked[0] if others else usual)


def mean_loss(draws: Iterable[Draw], caution: float) -> float:
    """Return the mean over cells of the mean log loss of their draws; NaN without any."""
    by_cell = defaultdict(list)
    for draw in draws:
        by_cell[draw.cell].append(draw.loss(caution))
    return fmean(fmean(losses) for losses in by_cell.values()) if by_cell else math.nan


def plenty(cells: Sequence[CellResults]) -> int:
    """Return from how many pictures on full fine-tuning beats the best frozen strategy, in the mean of cells.

    ``NEVER`` where it does so from no size on.
    """
    gains = {}
    for cell in cells:
        frozen = [name for name in _FROZEN if cell.has(name)]
        if cell.has(_TUNED) and frozen:
            best = min(float(cell.costs(name, LOG_LOSS).mean()) for name in frozen)
            gains[cell.name] = best - float(cell.costs(_TUNED, LOG_LOSS).mean())
    for size in sorted({CELLS[name].pictures for name in gains}):
        if fmean(gain for name, gain in gains.items() if CELLS[name].pictures >= size) > 0:
            return size
    return NEVER


def write_thresholds(path: Path, chosen: dict[str, Thresholds]) -> None:
    """Write the thresholds by name of kin."""
    write_json(path, {kin: asdict(thresholds) for kin, thresholds in chosen.items()})


def read_thresholds(path: Path) -> dict[str, Thresholds]:
    """Return what ``write_thresholds`` wrote; nothing where there is no file."""
    if not path.exists():
        return {}
    values = json.loads(path.read_text(encoding="utf-8"))
    return {kin: Thresholds(**thresholds) for kin, thresholds in values.items()}


def table(draws: Sequence[Draw], chosen: dict[str, Thresholds]) -> str:
    """Return Markdown: a row a domain, its thresholds and what each amount of caution costs without it."""
    header = ["domain left out", "plenty", "caution", *(f"{caution:g}" for caution in CAUTIONS)]
    lines = [header, ["---"] * len(header)]
    for kin, thresholds in chosen.items():
        others = [draw for draw in draws if CELLS[draw.cell].domain.kin != kin]
        size = "never" if thresholds.plenty == NEVER else str(thresholds.plenty)
        losses = [mean_loss(others, caution) for caution in CAUTIONS]
        lines.append([kin, size, f"{thresholds.caution:g}", *(f"{loss:.4f}" for loss in losses)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
