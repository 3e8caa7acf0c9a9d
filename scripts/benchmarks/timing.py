"""What measurements of speed share: the same photos for all, processes of their own, taking turns."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

SCRIPTS = Path(__file__).parents[1]


def add_what_is_measured(parser: argparse.ArgumentParser, *, pictures: int) -> None:
    """Let a job take photos, weights, and how often it measures."""
    parser.add_argument("--data", required=True, help="zip of labelled photos in Kaggle's layout")
    parser.add_argument("--weights", required=True, help="weights file of the backbone")
    parser.add_argument("--backbone", default="mobilenetv2_100")
    parser.add_argument("--pictures", type=int, default=pictures, help="photos a measurement uses")
    parser.add_argument("--rounds", type=int, default=3)


def unpack(archive: str, pictures: int, folder: Path) -> Path:
    """Give all sides the same files: as many of each class, on the disk, one folder a class."""
    with zipfile.ZipFile(archive) as opened:
        for label in ("cat", "dog"):
            names = [name for name in opened.namelist() if Path(name).name.startswith(f"{label}.")]
            target = folder / "photos" / label
            target.mkdir(parents=True)
            for name in names[: pictures // 2]:
                (target / Path(name).name).write_bytes(opened.read(name))
    return folder / "photos"


def in_turns(measures: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Measure everything once a round, so that a slow minute of the machine falls on all of it."""
    found: dict[str, list[float]] = {name: [] for name in measures}
    for number in range(rounds):
        for name, measure in measures.items():
            print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr)
            found[name].append(measure())
    return found


def show(title: str, found: Mapping[str, list[float]]) -> None:
    """Print medians with the lowest and the highest."""
    print(f"\n{title} (median of {len(next(iter(found.values())))}, lowest to highest)")
    for name, values in found.items():
        print(f"  {name:<44} {statistics.median(values):9.2f}  ({min(values):.2f} to {max(values):.2f})")


def best_of(found: Mapping[str, list[float]], names: Iterable[str]) -> str:
    """Return the name with the highest median."""
    return max(names, key=lambda name: statistics.median(found[name]))


def show_ratio(label: str, above: list[float], below: list[float]) -> None:
    """Print the ratio of what was measured in the same rounds."""
    ratios = [a / b for a, b in zip(above, below, strict=True)]
    print(f"  {label:<44} {statistics.median(ratios):9.2f}  ({min(ratios):.2f} to {max(ratios):.2f})")


def python(*words: str) -> str:
    """Run Python with these words, where ``benchmarks`` can be imported, and return what it printed.

    Raises:
        SystemExit: It failed; with what it said.
    """
    paths = os.pathsep.join(path for path in (str(SCRIPTS), os.environ.get("PYTHONPATH", "")) if path)
    done = subprocess.run(  # noqa: S603
        [sys.executable, *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": paths},
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout
