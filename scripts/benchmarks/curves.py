"""Make learning curves of known kinds from real training runs, and count what the diagnosis calls them.

    python scripts/benchmark.py curves [--families NAME ...] [--each N]    train what is missing, then count
    python scripts/benchmark.py curves --table                             count alone

Kinds of a family that the file holds are not trained again.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.curve_table import LabelledCurve, confusion, read_curves, write_curves

CURVES = Path("tests/evaluation/curves/curves.csv")


def main(words: Sequence[str]) -> None:
    """Parse, train what is missing, print the tables."""
    options = _parser().parse_args(words[1:])
    if not options.table:
        _make(options)
    curves = read_curves(options.out)
    for half in ("tune", "held-out"):
        for accuracies in (True, False):
            _count([curve for curve in curves if curve.half == half], half, accuracies=accuracies)


def _make(options: argparse.Namespace) -> None:
    # Torch takes seconds to import, and a table needs none of it.
    import torch
    from benchmarks.curve_families import FAMILIES
    from benchmarks.curve_kinds import MAKERS, make_samples

    torch.set_num_threads(1)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    curves = read_curves(options.out) if options.out.exists() else []
    for family in options.families or FAMILIES:
        for kind in MAKERS:
            if any((curve.family, curve.kind) == (family, kind) for curve in curves):
                continue
            wanted = 2 * options.each if kind == "good fit" else options.each
            samples, tried = make_samples(family, kind, wanted, 3 * wanted)
            print(f"{family}, {kind}: {len(samples)} of {tried} runs show it", flush=True)
            curves += [
                LabelledCurve(
                    FAMILIES[family].half,
                    family,
                    kind,
                    sample.variant,
                    tuple(sample.curve.train_loss),
                    tuple(sample.curve.val_loss),
                    tuple(sample.curve.train_accuracy) if FAMILIES[family].classes else (),
                    tuple(sample.curve.val_accuracy) if FAMILIES[family].classes else (),
                )
                for sample in samples
            ]
            write_curves(options.out, curves)


def _count(curves: Sequence[LabelledCurve], half: str, *, accuracies: bool) -> None:
    from catsdogs.evaluation.diagnosis import diagnose
    from catsdogs.evaluation.learningcurves import LearningCurve

    pairs = []
    for curve in curves:
        with_them = accuracies and bool(curve.train_accuracy)
        given = (curve.train_accuracy, curve.val_accuracy) if with_them else ()
        found = diagnose(LearningCurve.from_values(curve.train_loss, curve.val_loss, *given))
        pairs.append((curve.kind, found.name))
    right = sum(kind.partition(" (")[0] == name for kind, name in pairs)
    ordinary = [name for kind, name in pairs if kind == "good fit"]
    alarms = sum(name != "good fit" for name in ordinary)
    title = f"{half}, {'with accuracies' if accuracies else 'losses alone'}"
    print(f"\n{title}: {right} of {len(pairs)} right, {alarms} alarms in {len(ordinary)} ordinary runs\n")
    print(confusion(pairs))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="benchmark.py curves", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--families", nargs="+", metavar="NAME", help="default: all")
    parser.add_argument(
        "--each", type=int, default=3, help="curves of each kind, twice as many ordinary ones"
    )
    parser.add_argument("--out", type=Path, default=CURVES, help="the file of curves")
    parser.add_argument("--table", action="store_true", help="train nothing")
    return parser
