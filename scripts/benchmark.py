"""Benchmarks: catsdogs beside a plain timm loop, and its choice of a strategy beside every strategy.

    python scripts/benchmark.py train --data ZIP --weights FILE                 training, images/s
    python scripts/benchmark.py predict --data ZIP --weights FILE               prediction, views, bound
    python scripts/benchmark.py bound --data ZIP --weights FILE                 training beside its bound
    python scripts/benchmark.py regret --real FOLDER                            choice of the strategy
    python scripts/benchmark.py thresholds --real FOLDER                        what auto's borders are set by
    python scripts/benchmark.py curves [--table]                               diagnosis of learning curves

JOB --help tells the options of one.
"""

from __future__ import annotations

import importlib
import sys

JOBS = {
    "train": "training",
    "predict": "prediction",
    "regret": "regret",
    "thresholds": "thresholds",
    "bound": "bound",
    "curves": "curves",
}


def main(words: list[str]) -> None:
    """Hand the command line to the job that its first word names."""
    if not words or words[0] not in JOBS:
        print(__doc__)
        sys.exit(0 if words in (["-h"], ["--help"]) else 2)
    importlib.import_module(f"benchmarks.{JOBS[words[0]]}").main(words)


if __name__ == "__main__":
    main(sys.argv[1:])
