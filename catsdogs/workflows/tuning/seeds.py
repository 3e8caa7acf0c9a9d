"""Several seeds: the same training of the same pictures, and how far chance alone moves what comes of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from catsdogs.core.errors import ConfigError
from catsdogs.core.estimate import Estimate
from catsdogs.core.files import write_json
from catsdogs.core.predictions import FloatArray, Predictions
from catsdogs.core.report import EvaluationReport
from catsdogs.core.temperature import log_losses
from catsdogs.evaluation.repeats import mean_over_pictures
from catsdogs.reporting.console import say
from catsdogs.reporting.repeats import show_seeds
from catsdogs.workflows.settings import TrainSettings
from catsdogs.workflows.tuning.kfold import spread_of
from catsdogs.workflows.tuning.members import Members, Order


def repeat_with_seeds(settings: TrainSettings, path: Path, *, seeds: Sequence[int]) -> None:
    """Train one run a seed on one split, judge all on the same test pictures, and write ``seeds.json``.

    ``settings.seed`` alone draws the split; the seeds draw folds of probes, order, augmentation, dropout and
    whatever starts at random. Runs that are whole are taken as they are, one that was interrupted goes on.

    Args:
        settings: Of every run.
        path: Folder of it all.
        seeds: Two or more, each once.

    Raises:
        UserError: The pictures or the settings do not allow it.
    """
    if len(seeds) < 2 or len(set(seeds)) < len(seeds):
        raise ConfigError(f"--seeds needs two or more different seeds, not {','.join(map(str, seeds))}")
    runs = [(seed, replace(settings, seed=seed)) for seed in seeds]
    members = Members(path)
    records = members.begin(Order("seeds", {"seeds": list(seeds)}, settings))
    if not any(record.split == "test" for record in records):
        members.discard_if_alone()
        raise ConfigError("seeds are compared on the test pictures: --data.test_fraction must be more than 0")
    results, answers = [], []
    for place, (seed, own) in enumerate(runs, start=1):
        say(f"seed {seed} ({place} of {len(runs)})")
        run = members.complete(f"seed-{seed}", own, records)
        report = EvaluationReport.load(run.path / "evaluation.json")
        summary = json.loads(run.summary.read_text(encoding="utf-8"))
        figures = report.to_dict()["metrics"]
        results.append({"seed": seed, "n": report.n, "strategy": summary["strategy"], "metrics": figures})
        answers.append(Predictions.load(run.path / "predictions.npz").scorable())
    _conclude(path, results, answers, settings.seed)


def _conclude(path: Path, results: list[dict[str, Any]], answers: list[Predictions], seed: int) -> None:
    spread = spread_of([result["metrics"] for result in results])
    means = _means_over_pictures(answers, seed)
    write_json(
        path / "seeds.json",
        {
            "seeds": results,
            "spread": {name: one.to_dict() for name, one in spread.items()},
            "mean_over_seeds": {name: asdict(one) for name, one in means.items()},
        },
    )
    show_seeds(results, spread, means)
    say(f"written to {path}: seeds.json")


def _means_over_pictures(answers: list[Predictions], seed: int) -> dict[str, Estimate]:
    """Return what a run has on average over the seeds, with the interval over the draw of the pictures."""
    values: dict[str, list[FloatArray]] = {
        "accuracy": [(one.predicted == one.labels).astype(np.float64) for one in answers],
        "log_loss": [log_losses(one.logits, one.labels) for one in answers],
    }
    return {
        name: mean_over_pictures(np.mean(each, axis=0), seed=seed)
        for name, each in values.items()
        if len({len(one) for one in each}) == 1
    }
