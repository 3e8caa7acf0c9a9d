"""One run of the regret benchmark: train in this process, then score the test pictures by half."""

from __future__ import annotations

import contextlib
import csv
import gc
import os
import shutil
import subprocess
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.cells import AUTO, HALVES, WEIGHTS, Cell, Manifests, write_manifests
from benchmarks.results import ERROR, Result

# Everything that a run imports when it is needed is imported here, before a clock runs.
import catsdogs.workflows.fit
import catsdogs.workflows.prepare  # noqa: F401
from catsdogs import __version__
from catsdogs.core.errors import UserError
from catsdogs.core.predictions import Predictions
from catsdogs.core.temperature import log_losses
from catsdogs.data.audit import audit
from catsdogs.data.layouts import find_labelled, labels_of
from catsdogs.models.modelcard import load_card
from catsdogs.transfer.thresholds import Thresholds
from catsdogs.workflows.applying import apply
from catsdogs.workflows.runfolder import RunFolder
from catsdogs.workflows.sections import DataSettings, ModelSettings, TransferSettings
from catsdogs.workflows.settings import TrainSettings
from catsdogs.workflows.train import train
from catsdogs.workflows.workers import decoding_workers


@dataclass(frozen=True)
class Places:
    """Where things lie.

    Attributes:
        real: Folder of real pictures and weights.
        work: Folder for what the benchmark makes.
    """

    real: Path
    work: Path

    @property
    def cache(self) -> Path:
        """What all runs share: audits and timing trials."""
        return self.work / "cache"

    def run(self, cell: Cell, seed: int, strategy: str) -> Path:
        """Return the folder of a run: its log, plan and predictions stay, its model does not."""
        return self.work / "runs" / f"{cell.name}-{seed}-{strategy}"


def settings_for(
    cell: Cell,
    strategy: str,
    *,
    seed: int,
    pictures: Path,
    weights: Path,
    thresholds: Thresholds | None = None,
) -> TrainSettings:
    """Return how a strategy is run on a cell; what a domain needs of its own is said here and nowhere else.

    Args:
        cell: What is trained on.
        strategy: One of ``cells.STRATEGIES``.
        seed: Of the run.
        pictures: The manifest.
        weights: Of the backbone.
        thresholds: Those of ``auto`` that were set without the cell's domain; None takes the usual ones.
    """
    return TrainSettings(
        data=DataSettings(root=str(pictures), test_fraction=0.0),
        # The first results are of pictures cropped as the weights' authors did; all must see the same.
        model=ModelSettings(
            weights=str(weights.absolute()), framing="crop", input_size=cell.domain.input_size
        ),
        transfer=TransferSettings(strategy=strategy, thresholds=thresholds or Thresholds()),
        seed=seed,
    )


def execute(
    cell: Cell, seed: int, strategy: str, places: Places, thresholds: Thresholds | None = None
) -> Result:
    """Run a strategy on a draw of a cell and return its figures, or why there are none.

    Its console output goes to ``log.txt`` beside its run folder.
    """
    folder = places.run(cell, seed, strategy)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    failed = Result(cell.name, seed, strategy, status=ERROR)
    with (folder / "log.txt").open("w", encoding="utf-8") as log, _captured(log):
        try:
            return _execute(cell, seed, strategy, places, thresholds)
        except UserError as error:
            return replace(failed, reason=_one_line(str(error)))
        except Exception as error:  # one broken run must not end the others; the log has it whole
            traceback.print_exc(file=log)
            return replace(failed, reason=_one_line(f"{type(error).__name__}: {error}"))
        finally:
            gc.collect()


def _execute(cell: Cell, seed: int, strategy: str, places: Places, thresholds: Thresholds | None) -> Result:
    manifests = write_manifests(cell, seed, real=places.real, work=places.work)
    settings = settings_for(
        cell,
        strategy,
        seed=seed,
        pictures=manifests.train,
        weights=places.real / WEIGHTS,
        thresholds=thresholds,
    )
    run = RunFolder(places.run(cell, seed, strategy) / "run")
    seconds = _timed_training(settings, run, places)
    plan = run.read_plan()
    with _cache_of_its_own(places):
        predictions = predict_test(run, manifests)
    _keep_little(run)
    return Result(
        cell.name,
        seed,
        strategy,
        picked=str(plan["strategy"]),
        candidates=" ".join(bake_off_of(plan)) if strategy == AUTO else "",
        n_train=len(_column(manifests.train, "path")),
        seconds=seconds,
        **score(predictions, _column(manifests.test, "half")),
    )


def _timed_training(settings: TrainSettings, run: RunFolder, places: Places) -> float:
    """Train and return the seconds; a run that also had to time a trial for this machine is run again."""
    records = find_labelled(settings.data.root).records
    with _cache_of_its_own(places):
        audit(records, workers=decoding_workers())
    while True:
        known = _bytes_of(places.cache / "trials.json")
        with _cache_of_its_own(places):
            started = time.perf_counter()
            train(settings, run.path)
            seconds = time.perf_counter() - started
        if _bytes_of(places.cache / "trials.json") == known:
            return seconds
        shutil.rmtree(run.path)


def predict_test(run: RunFolder, manifests: Manifests) -> Predictions:
    """Return what the trained model says about the test pictures, with their classes."""
    class_names = load_card(run.path).class_names
    records = find_labelled(str(manifests.test), known_classes=class_names).records
    applied = apply(run.path, records, advance=lambda _: None)
    assert applied is not None
    predictions = applied.predictions.with_labels(labels_of(records, class_names))
    predictions.save(run.path / "test.npz")
    return predictions


def score(predictions: Predictions, halves: list[str]) -> dict[str, Any]:
    """Return number, accuracy and log loss of each half; unreadable pictures are left out."""
    figures: dict[str, Any] = {}
    for half in HALVES:
        chosen = predictions.select(np.array(halves) == half).scorable()
        figures[f"n_{half}"] = len(chosen)
        figures[f"accuracy_{half}"] = float((chosen.predicted == chosen.labels).mean())
        figures[f"log_loss_{half}"] = float(log_losses(chosen.logits, chosen.labels).mean())
    return figures


def bake_off_of(plan: Mapping[str, Any]) -> list[str]:
    """Return the two strategies between which ``auto`` held a bake-off; none where it needed none."""
    if "bake_off" not in plan:
        return []
    return [str(plan["choice"][place]) for place in ("strategy", "runner_up")]


def code_version() -> str:
    """Return what git calls the code, or the package's version outside of a repository."""
    command = ["git", "describe", "--always", "--dirty"]
    try:
        found = subprocess.run(  # noqa: S603
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return __version__
    return found.stdout.strip()


@contextlib.contextmanager
def _cache_of_its_own(places: Places) -> Iterator[None]:
    """Give a run an empty cache, so that it pays for its own features, with the shared audits and trials."""
    (places.cache / "audit").mkdir(parents=True, exist_ok=True)
    before = os.environ.get("CATSDOGS_CACHE")
    with tempfile.TemporaryDirectory(dir=places.work, prefix="cache-") as folder:
        for name in ("audit", "trials.json"):
            Path(folder, name).symlink_to(places.cache / name)
        os.environ["CATSDOGS_CACHE"] = folder
        try:
            yield
        finally:
            os.environ.pop("CATSDOGS_CACHE")
            if before is not None:
                os.environ["CATSDOGS_CACHE"] = before


@contextlib.contextmanager
def _captured(log: Any) -> Iterator[None]:
    with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
        yield


def _keep_little(run: RunFolder) -> None:
    """Remove the models: hundreds of runs of tens of megabytes each."""
    for folder in (run.model, run.last.parent):
        shutil.rmtree(folder, ignore_errors=True)


def _bytes_of(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _column(path: Path, name: str) -> list[str]:
    with path.open(encoding="utf-8", newline="") as stream:
        return [row[name] for row in csv.DictReader(stream)]


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]
