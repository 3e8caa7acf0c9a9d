"""Real curves: how many the diagnosis names rightly, and that it leaves ordinary runs alone."""

from pathlib import Path

import numpy as np
import pytest
from benchmarks import curve_kinds, curve_runs, curve_table, curves
from benchmarks.curve_families import FAMILIES

from catsdogs.evaluation.diagnosis import diagnose
from catsdogs.evaluation.learningcurves import LearningCurve

FILE = Path(__file__).parents[1] / "evaluation" / "curves" / "curves.csv"
LABELLED = curve_table.read_curves(FILE)
# Of those held out 76 of 78 are named rightly; four in a hundred are left for changes that are no mistakes.
LEAST = 0.93


def named(curve: curve_table.LabelledCurve, *, accuracies: bool = True) -> str:
    given = (curve.train_accuracy, curve.val_accuracy) if accuracies else ()
    return diagnose(LearningCurve.from_values(curve.train_loss, curve.val_loss, *given)).name


@pytest.mark.parametrize("accuracies", [True, False])
def test_nine_in_ten_of_the_runs_held_out_are_named_rightly(accuracies):
    held_out = [curve for curve in LABELLED if curve.half == "held-out"]
    assert len(held_out) > 70
    right = [named(curve, accuracies=accuracies) == curve.name for curve in held_out]
    assert sum(right) >= LEAST * len(right)


@pytest.mark.parametrize("kind", curve_kinds.MAKERS)
def test_every_kind_is_known_on_its_own(kind):
    of_kind = [curve for curve in LABELLED if curve.kind == kind and curve.half == "held-out"]
    assert sum(named(curve) == curve.name for curve in of_kind) >= 0.8 * len(of_kind)


def test_ordinary_runs_raise_no_alarm():
    ordinary = [c for c in LABELLED if c.kind == "good fit" and c.half == "held-out"]
    assert [curve for curve in ordinary if named(curve) != "good fit"] == []


def test_no_family_is_in_both_halves():
    halves = {(curve.family, curve.half) for curve in LABELLED}
    assert halves <= {(name, family.half) for name, family in FAMILIES.items()}


def test_the_file_stays_small():
    assert FILE.stat().st_size < 200_000


def test_a_curve_comes_back_from_its_file_as_it_was(tmp_path):
    curve = curve_table.LabelledCurve(
        "tune", "digits", "good fit", "plain", (1.0, 0.25), (12.5, 1e-6), (0.5, 1.0), ()
    )
    curve_table.write_curves(tmp_path / "c.csv", [curve])
    assert curve_table.read_curves(tmp_path / "c.csv") == [curve]


def test_a_run_is_a_function_of_its_seed():
    family = FAMILIES["moons"]
    bench = curve_kinds.Bench(family, np.random.default_rng(0))
    recipe = curve_runs.Recipe(width=8, epochs=2, frozen_epochs=1, dropout=0.1, noise=0.1)
    examples = bench.examples(0.2)
    first, second = (curve_runs.train(family, examples, recipe, 5, further=True) for _ in range(2))
    assert first == second
    assert len(first.train_loss) == len(first.future) == 2


def test_the_table_counts(capsys):
    curves.main(["curves", "--table"])
    printed = capsys.readouterr().out
    assert "held-out, losses alone: " in printed
    assert "| made as |" in printed
