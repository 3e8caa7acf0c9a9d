"""Benchmarks: catsdogs beside a plain timm loop, and its choice of a strategy beside every strategy.

    python scripts/benchmark.py [all|train|predict] --data ZIP --weights FILE    speed
    python scripts/benchmark.py bound --data ZIP --weights FILE                 training beside its bound
    python scripts/benchmark.py regret --real FOLDER                            choice of the strategy
    python scripts/benchmark.py thresholds --real FOLDER                        what auto's borders are set by
    python scripts/benchmark.py curves [--table]                               diagnosis of learning curves

JOB --help tells the options of one; without a job, speed is measured.
"""

from __future__ import annotations

import importlib
import sys

JOBS = {
    "all": "timing",
    "train": "timing",
    "predict": "timing",
    "regret": "regret",
    "thresholds": "thresholds",
    "bound": "bound",
    "curves": "curves",
}


def main(words: list[str]) -> None:
    """Hand the command line to the job that its first word names."""
    if words in (["-h"], ["--help"]):
        print(__doc__)
        return
    job = words[0] if words and words[0] in JOBS else "all"
    importlib.import_module(f"benchmarks.{JOBS[job]}").main(words)


if __name__ == "__main__":
    main(sys.argv[1:])
