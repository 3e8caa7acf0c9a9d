"""Training beside a plain timm loop: same photos, same network, same machine, in turns.

    python scripts/benchmark.py train --data train.zip --weights mobilenetv2_100.safetensors

Every measurement is a process of its own. Times depend on the machine; the ratios are what carries over.
The plain loop is run with each combination of flags that timm's scripts offer, and its best one counts.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.plainloop import DEFAULT_BATCH, PRECISIONS
from benchmarks.timing import add_what_is_measured, best_of, in_turns, python, show, show_ratio, unpack

OURS = "catsdogs"


def main(words: Sequence[str]) -> None:
    """Measure, print medians and the ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("train",))
    add_what_is_measured(parser, pictures=640)
    options = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        photos = unpack(options.data, options.pictures, Path(folder))
        ours = partial(_ours, options, photos)
        ours()  # once uncounted: it fills the caches that a second run finds filled
        plain = {f"plain timm loop, {flags}": partial(_plain, options, photos, flags) for flags in PRECISIONS}
        found = in_turns({OURS: ours, **plain}, options.rounds)
    show("training, images/s", found)
    show_ratio("catsdogs / best plain", found[OURS], found[best_of(found, plain)])


def _ours(options: argparse.Namespace, photos: Path) -> float:
    """Return images/s of the second epoch of ``catsdogs train``, without validation."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        words = ["--data.root", str(photos), "--data.val_fraction", "0", "--data.test_fraction", "0"]
        words += ["--model.backbone", options.backbone, "--model.weights", options.weights]
        words += ["--transfer.strategy", "finetune_full", "--transfer.epochs", "2"]
        words += ["--transfer.batch_size", str(DEFAULT_BATCH), "--run", str(run)]
        python("-m", "catsdogs", "train", *words)
        with (run / "metrics.csv").open(newline="") as stream:
            last = list(csv.DictReader(stream))[-1]
    return options.pictures // DEFAULT_BATCH * DEFAULT_BATCH / float(last["seconds"])


def _plain(options: argparse.Namespace, photos: Path, flags: str) -> float:
    place = [str(photos), options.weights, options.backbone]
    return float(python("-m", "benchmarks.plainloop", "train", *place, flags).split()[-1])
