"""Everything that the folder of a run, or of an ensemble, tells about it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from catsdogs.core.ensemblereport import EnsembleReport
from catsdogs.core.errors import ConfigError
from catsdogs.core.interpolation import INTERPOLATION, Interpolation
from catsdogs.core.predictions import Predictions
from catsdogs.core.records import ImageRecord
from catsdogs.core.report import EvaluationReport
from catsdogs.core.robustnessreport import RobustnessReport
from catsdogs.data.audit import AuditReport
from catsdogs.data.splits import read_split
from catsdogs.evaluation.diagnosis import Diagnosis
from catsdogs.evaluation.labelcheck import LabelCheck
from catsdogs.evaluation.learningcurves import LearningCurve
from catsdogs.evaluation.slices import SlicesReport
from catsdogs.models.modelcard import ModelCard, load_card
from catsdogs.workflows.diagnose import read_diagnosed
from catsdogs.workflows.heldout import heldout
from catsdogs.workflows.runfolder import RunFolder
from catsdogs.workflows.slicing import SLICES

_ENSEMBLE, _ROBUSTNESS = "ensemble.json", "robustness.json"


@dataclass(frozen=True)
class Told:
    """Everything about one complete run that its folder tells."""

    run: RunFolder

    @property
    def name(self) -> str:
        """Of the folder."""
        return self.run.path.resolve().name

    @cached_property
    def plan(self) -> dict[str, Any]:
        """Strategy and evidence."""
        return self.run.read_plan()

    @cached_property
    def card(self) -> ModelCard:
        """Of the model."""
        return load_card(self.run.model)

    @cached_property
    def records(self) -> tuple[ImageRecord, ...]:
        """The pictures with their splits."""
        return read_split(self.run.split)

    @property
    def command(self) -> str:
        """What makes the same again, elsewhere."""
        made = self.plan.get("command", "catsdogs train --config config.yaml")
        return f"{made} --run {shlex.quote(f'{self.name}-again')}"

    @cached_property
    def config(self) -> str | None:
        """The settings, as they are; an ensemble has none."""
        return self.run.config.read_text(encoding="utf-8") if self.run.config.is_file() else None

    @cached_property
    def audit(self) -> AuditReport | None:
        """Of all pictures; an ensemble has none of its own."""
        return AuditReport.load(self.run.audit) if self.run.audit.is_file() else None

    @cached_property
    def ensemble(self) -> EnsembleReport | None:
        """What it is made of, where it is an ensemble."""
        place = self.run.path / _ENSEMBLE
        return EnsembleReport.load(place) if place.is_file() else None

    @cached_property
    def slices(self) -> SlicesReport | None:
        """Where it does worse on the test pictures."""
        place = self.run.path / SLICES
        return SlicesReport.load(place) if place.is_file() else None

    @cached_property
    def labels(self) -> LabelCheck | None:
        """Which labels look wrong."""
        place = self.run.labels.with_suffix(".json")
        return LabelCheck.load(place) if place.is_file() else None

    @cached_property
    def robustness(self) -> RobustnessReport | None:
        """What changes of the pictures do to the answers."""
        place = self.run.path / _ROBUSTNESS
        return RobustnessReport.load(place) if place.is_file() else None

    @cached_property
    def out_of_fold(self) -> Predictions | None:
        """What cross-validation said of the pictures that were learned from."""
        return Predictions.load(self.run.out_of_fold) if self.run.out_of_fold.is_file() else None

    @cached_property
    def training(self) -> tuple[LearningCurve, Diagnosis, list[int]] | None:
        """Curve, diagnosis and epochs of unfreezing, where there were epochs."""
        return read_diagnosed(self.run.path) if self.run.metrics.is_file() else None

    @property
    def interpolation(self) -> Interpolation | None:
        """How far from its start the model lies, where that was asked."""
        found = self.card.training.get(INTERPOLATION)
        return None if found is None else Interpolation.from_dict(found)

    @cached_property
    def report(self) -> EvaluationReport | None:
        """Of the test pictures."""
        place = self.run.path / "evaluation.json"
        return EvaluationReport.load(place) if place.is_file() else None

    @cached_property
    def predictions(self) -> Predictions | None:
        """About the test pictures."""
        place = self.run.path / "predictions.npz"
        return Predictions.load(place) if place.is_file() else None

    @cached_property
    def held_out(self) -> Predictions | None:
        """What thresholds may be learned from."""
        return heldout(self.run.path)

    @property
    def others(self) -> list[EvaluationReport]:
        """Evaluations of other pictures or views, in folders of their own."""
        return [
            EvaluationReport.load(place)
            for place in sorted(self.run.path.glob("evaluation-*/evaluation.json"))
        ]

    @property
    def kind(self) -> str:
        """Strategy and backbone."""
        if self.ensemble is not None:
            return f"ensemble of {len(self.ensemble.weights)} members"
        return f"{self.plan['strategy']} on {self.card.backbone}"

    @property
    def made_by(self) -> str:
        """Strategy, backbone and training pictures, in a few words."""
        count = sum(record.split in self.learned_from for record in self.records)
        what = self.kind if self.ensemble is None else f"An {self.kind}"
        return f"{what}, with {count:,} pictures to learn from"

    @property
    def learned_from(self) -> list[str]:
        """The splits that the weights come from."""
        return ["train", *self.plan.get("fitted_on", [])]


def tell(path: Path) -> Told:
    """Return what a folder tells.

    Raises:
        ConfigError: It holds neither a complete run nor an ensemble.
    """
    run = RunFolder(path)
    if not (run.config.is_file() or (path / _ENSEMBLE).is_file()):
        raise ConfigError(f"{path} holds no run (no config.yaml)")
    if not (run.summary.is_file() or (path / _ENSEMBLE).is_file()):
        raise ConfigError(f"{path} is not complete: finish it with catsdogs train --resume {path}")
    return Told(run)
