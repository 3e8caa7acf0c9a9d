"""Diagnose: say and draw what learning curves show, those of runs and those of any CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from catsdogs.core.errors import ConfigError, DataError
from catsdogs.data.presets import PRESETS, AugmentationSpec
from catsdogs.evaluation.diagnosis import Diagnosis, diagnose
from catsdogs.evaluation.learningcurves import LearningCurve, read_curve
from catsdogs.reporting.console import say
from catsdogs.reporting.curves import draw_curves
from catsdogs.reporting.figures import save_figure
from catsdogs.transfer.strategies import FreezePlan
from catsdogs.workflows.runfolder import RunFolder


def diagnose_curves(paths: Sequence[str], out: Path | None) -> None:
    """Print the diagnosis of each curve with its evidence.

    Args:
        paths: CSV files and run folders.
        out: Where to draw: a file, or a folder where there are several curves or it exists.

    Raises:
        DataError: There is no curve, or it cannot be read.
        ConfigError: Two curves would be drawn into one file.
        OutputError: The figure cannot be written.
    """
    figures = _figures(paths, out)
    for path, figure in zip(paths, figures, strict=True):
        curve, found, unfrozen = read_diagnosed(Path(path))
        say(f"{path}: {found.title}" if len(paths) > 1 else f"diagnosis: {found.title}")
        for sentence in found.evidence:
            say(f"  {sentence}")
        if curve.counts_from_zero:
            say("  (epochs are counted from 1; the file counts from 0)")
        if figure is not None:
            save_figure(draw_curves(curve, found, unfrozen=unfrozen, name=_name(path)), figure)
            say(f"  drawn: {figure}")


def diagnose_run(run: RunFolder) -> Diagnosis:
    """Diagnose a run that has trained by gradients, and draw ``curves.png``.

    Raises:
        DataError: Its files are damaged.
    """
    curve, found, unfrozen = read_diagnosed(run.path)
    save_figure(draw_curves(curve, found, unfrozen=unfrozen), run.curves)
    return found


def read_diagnosed(path: Path) -> tuple[LearningCurve, Diagnosis, list[int]]:
    """Return curve, diagnosis and the epochs of unfreezing; a run's plan says more than its CSV.

    Raises:
        DataError: There is no curve, or a file is damaged.
    """
    run = RunFolder(path)
    if not path.is_dir():
        run = RunFolder(path.parent)
        if path.name != run.metrics.name or not run.plan.is_file():
            curve = read_curve(path)
            return curve, diagnose(curve), []
    if not run.metrics.is_file():
        raise DataError(f"{path} has no metrics.csv: give a run that trained by gradients, or a CSV file")
    curve = read_curve(run.metrics)
    plan = run.read_plan() if run.plan.is_file() else {}
    return curve, diagnose(curve, disturbed=_disturbs(plan)), _unfrozen(plan)


def _disturbs(plan: dict[str, Any]) -> bool:
    """Say whether training sees harder pictures than validation, or is asked for softer answers."""
    if "augmentation" not in plan:
        return False
    changed = AugmentationSpec.from_dict(plan["augmentation"]) != PRESETS["none"]
    return changed or bool(plan.get("recipe", {}).get("loss", {}).get("label_smoothing"))


def _unfrozen(plan: dict[str, Any]) -> list[int]:
    """Return the epochs, from 1, in which layers began to train that had been frozen."""
    if "freeze_plan" not in plan:
        return []
    phases = FreezePlan.from_list(plan["freeze_plan"])
    pairs = zip(phases.phases, phases.phases[1:], phases.starts[1:], strict=False)
    return [start + 1 for before, after, start in pairs if set(after.groups) - set(before.groups)]


def _figures(paths: Sequence[str], out: Path | None) -> list[Path | None]:
    if out is None:
        return [None] * len(paths)
    if len(paths) == 1 and not out.is_dir():
        return [out]
    names = [_name(path) for path in paths]
    if len(set(names)) < len(names):
        raise ConfigError("two of the curves have the same name: draw them one after the other")
    return [out / f"{name}.png" for name in names]


def _name(path: str) -> str:
    """Return the run's name; a file that is called like every other takes that of its folder."""
    place = Path(path).resolve()
    return place.parent.name if place.name == "metrics.csv" else place.name if place.is_dir() else place.stem
