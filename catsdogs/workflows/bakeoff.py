"""Bake-off: two candidates face a part of the training pictures that neither has seen."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from catsdogs.core.files import write_json
from catsdogs.core.predictions import FloatArray, IntArray
from catsdogs.core.records import ImageRecord
from catsdogs.core.temperature import fit_temperature, log_losses
from catsdogs.data.splits import write_split
from catsdogs.models.modelcard import TOP
from catsdogs.models.modelfile import save_model
from catsdogs.reporting.console import progress, say
from catsdogs.transfer.labelled import Study
from catsdogs.transfer.scoring import ScoredProbe, score_linear, score_svm
from catsdogs.transfer.strategies import Strategy
from catsdogs.transfer.svm import Kernel
from catsdogs.workflows.applying import apply
from catsdogs.workflows.interpolating import interpolate
from catsdogs.workflows.runfolder import RunFolder
from catsdogs.workflows.settings import TrainSettings
from catsdogs.workflows.start import assemble, phases_for
from catsdogs.workflows.study import Base

_PARTS = 4
_EPOCH_SHARE = 0.5
_MOST_PICTURES = 2_000


@dataclass(frozen=True)
class BakeOff:
    """What two candidates lost on the M held-out pictures.

    Attributes:
        strategy: The candidate with gradient epochs.
        trained_on: Pictures that both learned from.
        epochs: That the candidate with gradients had.
        frozen: Calibrated -ln p(true class) of the frozen candidate (M,).
        tuned: The same of the other (M,).
        frozen_accuracy: In [0, 1].
        tuned_accuracy: In [0, 1].
    """

    strategy: str
    trained_on: int
    epochs: int
    frozen: FloatArray
    tuned: FloatArray
    frozen_accuracy: float
    tuned_accuracy: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "strategy": self.strategy,
            "trained_on": self.trained_on,
            "held_out": len(self.frozen),
            "epochs": self.epochs,
            "frozen_log_loss": float(self.frozen.mean()),
            "tuned_log_loss": float(self.tuned.mean()),
            "frozen_accuracy": self.frozen_accuracy,
            "tuned_accuracy": self.tuned_accuracy,
        }


@dataclass(frozen=True)
class Challenger:
    """A candidate with gradient epochs.

    Attributes:
        strategy: Of it.
        base: Its backbone, which may see pictures framed otherwise than the frozen one.
        study: The training pictures as it sees them.
    """

    strategy: Strategy
    base: Base
    study: Study


def bake_off(
    study: Study, settings: TrainSettings, run: RunFolder, *, frozen: ScoredProbe, tuned: Challenger
) -> BakeOff | None:
    """Train both candidates on three quarters of the training pictures, the second for half its epochs.

    Args:
        study: Of the training pictures; validation and test have no part in this.
        settings: Of the run.
        run: A folder in it holds the candidate while it trains.
        frozen: The best probe; it is fitted again without the held-out pictures.
        tuned: The other candidate; its pictures come in the same order.

    Returns:
        What came of it; None where the pictures cannot be parted so that every class is on both sides.
    """
    parts = _parts(study)
    if parts is None:
        return None
    learned, held_out = (study.take(part) for part in parts)
    probe = _again(learned, frozen, settings.transfer.svm_kernel)
    losses, accuracy = _calibrated(_probe_logits(probe, held_out), held_out.labels)
    pictures = len(learned.labels)
    whole = phases_for(tuned.strategy, 1, tuned.base.training_pictures, settings.transfer).epochs
    epochs = max(1, round(_EPOCH_SHARE * whole))
    say(f"bake-off: {tuned.strategy.name} for {epochs} epochs on {pictures:,} of the training pictures")
    learned, held_out = (tuned.study.take(part) for part in parts)
    short = RunFolder(run.path / "bakeoff")
    logits = _train(tuned.base, learned, held_out, settings, short, tuned.strategy, epochs)
    tuned_losses, tuned_accuracy = _calibrated(logits, held_out.labels)
    return BakeOff(tuned.strategy.name, pictures, epochs, losses, tuned_losses, accuracy, tuned_accuracy)


def _parts(study: Study) -> tuple[IntArray, IntArray] | None:
    """Return where lies what is learned from and held out; a unit is on one side, every class on both."""
    if np.bincount(study.labels, minlength=study.classes).min() < _PARTS:
        return None
    splitter = StratifiedGroupKFold(_PARTS, shuffle=True, random_state=study.seed)
    codes = np.unique(np.asarray(study.units, dtype=object).astype(str), return_inverse=True)[1]
    for learned, held_out in splitter.split(study.labels, study.labels, codes):
        some = np.sort(np.random.default_rng(study.seed).permutation(learned)[:_MOST_PICTURES])
        if all(len(set(study.labels[part])) == study.classes for part in (some, held_out)):
            return some, held_out
    return None


def _again(study: Study, probe: ScoredProbe, kernel: Kernel) -> ScoredProbe:
    """Fit a probe of the same kind on other pictures."""
    if probe.kind == "svm":
        return score_svm(study, probe.stages, kernel)
    return score_linear(study, probe.stages)


def _probe_logits(probe: ScoredProbe, study: Study) -> FloatArray:
    return probe.probe.logits(study.features.of(probe.stages))


def _calibrated(logits: FloatArray, labels: IntArray) -> tuple[FloatArray, float]:
    """Return losses (M,) at the best temperature, the same favour for both candidates, and the accuracy."""
    losses = log_losses(logits / fit_temperature(logits, labels), labels)
    return losses, float((logits.argmax(axis=1) == labels).mean())


def _train(
    base: Base,
    learned: Study,
    held_out: Study,
    settings: TrainSettings,
    run: RunFolder,
    strategy: Strategy,
    epochs: int,
) -> FloatArray:
    """Train a candidate in a run folder of its own and return its logits on the held-out pictures."""
    from catsdogs.workflows.fit import fit

    transfer = replace(settings.transfer, epochs=epochs, strategy=strategy.name)
    short = replace(settings, transfer=transfer, trainer=_on_one_device(settings.trainer))
    smaller = replace(base, training_pictures=len(learned.labels))
    start = assemble(strategy, smaller, score_linear(learned, (TOP,)), short)
    if not run.plan.exists():
        records = _in_split(learned, "train") + _in_split(held_out, "test")
        write_split(run.split, records)
        save_model(run.start, start.classifier, start.card)
        write_json(run.plan, {"strategy": strategy.name, **start.plan})
    fit(short, run, say, alone=True)
    asked = _in_split(held_out, "test")
    # By the pictures that judge it, as the temperature of both candidates is.
    interpolate(run, asked)
    with progress("judging", len(asked)) as advance:
        applied = apply(run.path, asked, advance=advance)
    assert applied is not None
    shutil.rmtree(run.path)
    return applied.predictions.logits


def _in_split(study: Study, split: str) -> list[ImageRecord]:
    return [replace(record, split=split) for record in study.features.records]


def _on_one_device(trainer: dict[str, Any]) -> dict[str, Any]:
    """Return the user's Trainer options for a training in this process alone."""
    shared = ("devices", "num_nodes", "strategy", "sync_batchnorm", "logger")
    kept = {name: value for name, value in trainer.items() if name not in shared}
    return kept | {"devices": 1}
