"""Choose: the strategy that was asked for, or the one that the evidence speaks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from catsdogs.core.predictions import Predictions
from catsdogs.models.backbones import pretrained_classifier
from catsdogs.models.modelcard import TOP
from catsdogs.reporting.console import progress, say, table
from catsdogs.reporting.evidencefigures import draw_evidence
from catsdogs.reporting.figures import save_figure
from catsdogs.transfer.evidence import Evidence, measure, steps
from catsdogs.transfer.growth import at_twice
from catsdogs.transfer.labelled import Study
from catsdogs.transfer.matrix import (
    Cell,
    best_frozen,
    candidate_with_gradients,
    locate,
    strategy_of,
    surety,
)
from catsdogs.transfer.scoring import ScoredProbe, out_of_fold, score_linear
from catsdogs.transfer.strategies import Strategy, find_strategy
from catsdogs.transfer.thresholds import Thresholds
from catsdogs.workflows.bakeoff import BakeOff, Challenger, bake_off
from catsdogs.workflows.runfolder import RunFolder
from catsdogs.workflows.settings import TrainSettings
from catsdogs.workflows.start import Start, assemble, probe_for
from catsdogs.workflows.study import Base
from catsdogs.workflows.weights import framing_of, names_model


@dataclass(frozen=True)
class Choice:
    """A strategy, the model that it starts with, and what ``plan.json`` says about why.

    Attributes:
        strategy: Chosen by the user or by the evidence.
        start: Its model and how it is trained.
        evidence: For ``plan.json``.
        study: What the head learned from; None for random numbers.
        out_of_fold: What the head's cross-validation said of those pictures, where there was any.
    """

    strategy: Strategy
    start: Start
    evidence: dict[str, Any]
    study: Study | None = None
    out_of_fold: Predictions | None = None


def take(strategy: Strategy, base: Base, study: Study, settings: TrainSettings) -> Choice:
    """Return a strategy that the user chose, its head fitted.

    A frozen backbone needs no validation pictures, so its head learns from them too; gradient epochs do,
    and start from a head that has not seen them.
    """
    learned = _head_pictures(study, strategy, settings)
    probe = probe_for(strategy, learned, settings.transfer)
    say_probe(strategy.name, probe)
    evidence = {"probe": probe.to_dict(), "fitted_on": _splits(learned)}
    said = out_of_fold(learned, probe, base.class_names)
    return Choice(strategy, assemble(strategy, base, probe, settings), evidence, study, said)


def _head_pictures(study: Study, strategy: Strategy, settings: TrainSettings) -> Study:
    """Return what the head learns from: gradient epochs need validation pictures, fitted probes do not."""
    validated = strategy.trains_backbone or settings.model.head == "mlp"
    return study.of_split("train") if validated else study


def say_probe(name: str, probe: ScoredProbe) -> None:
    """Tell what cross-validation says about a probe."""
    place = " + ".join(probe.stages)
    if len(probe.losses):
        say(
            f"{name}: {probe.kind} probe on stage {place}, {probe.accuracy:.2%} cross-validated on "
            f"{len(probe.losses):,} pictures (log loss {probe.log_loss:.3f})"
        )


def _splits(study: Study) -> list[str]:
    return sorted({record.split or "" for record in study.features.records})


@dataclass(frozen=True)
class Considered:
    """What the evidence says before any gradient.

    Attributes:
        evidence: What was measured.
        cell: Where in the matrix that is.
        probe: The best frozen candidate.
        rival: The best probe of another strategy.
        tuned: The strategy with gradient epochs that may be better still; None where there is none.
        thresholds: The borders of the matrix.
    """

    evidence: Evidence
    cell: Cell
    probe: ScoredProbe
    rival: ScoredProbe | None
    tuned: str | None
    thresholds: Thresholds

    @property
    def strategy(self) -> str:
        """The best one with a frozen backbone."""
        return strategy_of(self.probe)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "evidence": self.evidence.to_dict(),
            "cell": self.cell.to_dict(),
            "thresholds": asdict(self.thresholds),
        }


def consider(base: Base, study: Study, settings: TrainSettings) -> Considered:
    """Measure the pictures, place them in the matrix, and show both."""
    evidence = _evidence(base, study, settings)
    if settings.model.head == "mlp":
        evidence = replace(evidence, svm=())  # an SVM is a head of its own
    thresholds = settings.transfer.thresholds
    cell = locate(evidence, base.training_pictures, thresholds)
    probe, rival = best_frozen(evidence, thresholds)
    _show_evidence(evidence, cell)
    return Considered(evidence, cell, probe, rival, candidate_with_gradients(cell), thresholds)


Studied = Callable[[TrainSettings], tuple[Base, Study]]
"""Opens the backbone of some settings, and extracts the features of the pictures to learn from."""


def choose(studied: Studied, settings: TrainSettings, run: RunFolder) -> Choice:
    """Measure, place the pictures in the matrix, and take the strategy that the evidence speaks for.

    The test pictures have no part in it. Where gradient epochs may pay, a bake-off inside the training
    pictures decides.

    Args:
        studied: What says how the backbone sees the pictures.
        settings: Of the run.
        run: Where the evidence is drawn, and a candidate with gradients trains for a moment.
    """
    base, study = studied(settings)
    considered = consider(base, study, settings)
    written = considered.to_dict()
    save_figure(draw_evidence(written), run.evidence)
    verdict = Verdict.of(considered)
    tuned = _challenger(considered, base, study, studied, settings)
    if tuned:
        training = study.of_split("train")
        contest = bake_off(training, settings, run, frozen=considered.probe, tuned=tuned)
        if contest is not None:
            written["bake_off"] = contest.to_dict()
            verdict = verdict.after(contest)
    written["choice"] = verdict.to_dict()
    say(verdict.sentence(considered.cell))
    strategy = find_strategy(verdict.strategy)
    if tuned and tuned.strategy is strategy:
        base, learned, probe = tuned.base, tuned.study, score_linear(tuned.study, (TOP,))
    else:
        learned, probe = _head_pictures(study, strategy, settings), considered.probe
    written |= {"probe": probe.to_dict(), "fitted_on": _splits(learned)}
    said = out_of_fold(learned, probe, base.class_names)
    return Choice(strategy, assemble(strategy, base, probe, settings), written, study, said)


def _challenger(
    considered: Considered, base: Base, study: Study, studied: Studied, settings: TrainSettings
) -> Challenger | None:
    """Return the candidate with gradients, its pictures framed as it wants them, where there is one."""
    if considered.tuned is None or not settings.transfer.bake_off:
        return None
    asked = replace(settings, transfer=replace(settings.transfer, strategy=considered.tuned))
    if framing_of(asked) != framing_of(settings):
        base, study = studied(asked)
    return Challenger(find_strategy(considered.tuned), base, study.of_split("train"))


def _evidence(base: Base, study: Study, settings: TrainSettings) -> Evidence:
    """Measure the pictures of a study with a progress bar."""
    weights = settings.model.weights
    # What a model of the user's own answers is no sign of what its backbone has seen.
    own = None if names_model(weights) else pretrained_classifier(base.name, weights, base.backbone)
    with progress("measuring", steps(study.stages)) as advance:
        return measure(
            study,
            kernel=settings.transfer.svm_kernel,
            own_head=own,
            advance=advance,
        )


@dataclass(frozen=True)
class Verdict:
    """Which strategy was taken, against which, and on what grounds.

    Attributes:
        strategy: The one that was taken.
        runner_up: The next best; None where nothing else was tried.
        probe: The best frozen candidate.
        rival: The best probe of another strategy.
        head_start: What a candidate with gradients is given in a bake-off.
        contest: The bake-off, where one was held.
    """

    strategy: str
    runner_up: str | None
    probe: ScoredProbe
    rival: ScoredProbe | None
    head_start: float
    contest: BakeOff | None = None

    @classmethod
    def of(cls, considered: Considered) -> Verdict:
        """Return what the evidence alone says."""
        rival = considered.rival
        second = strategy_of(rival) if rival else None
        head_start = considered.thresholds.head_start
        return cls(considered.strategy, second, considered.probe, rival, head_start)

    def after(self, contest: BakeOff) -> Verdict:
        """Return the verdict once the best frozen candidate has met one with gradient epochs."""
        tuned_wins = contest.tuned.mean() * self.head_start < contest.frozen.mean()
        names = (contest.strategy, self.strategy) if tuned_wins else (self.strategy, contest.strategy)
        return replace(self, strategy=names[0], runner_up=names[1], contest=contest)

    @property
    def confidence(self) -> float | None:
        """How sure it is that the runner-up would be worse, in [0, 1]; None where nothing was compared."""
        if self.contest is not None:
            tuned_wins = self.strategy == self.contest.strategy
            pair = (self.contest.tuned, self.contest.frozen)
            return surety(*(pair if tuned_wins else pair[::-1]))
        if self.rival is None or len(self.rival.losses) != len(self.probe.losses):
            return None
        return surety(self.probe.losses, self.rival.losses)

    @property
    def expected(self) -> dict[str, float | None]:
        """What to expect on new pictures: accuracy and log loss of the one that was taken."""
        if self.contest is not None and self.strategy == self.contest.strategy:
            scores = self.contest.tuned_accuracy, float(self.contest.tuned.mean())
        elif len(self.probe.losses):
            scores = self.probe.accuracy, self.probe.log_loss
        else:
            return {"accuracy": None, "log_loss": None}
        return dict(zip(("accuracy", "log_loss"), scores, strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "strategy": self.strategy,
            "runner_up": self.runner_up,
            "confidence": self.confidence,
            "decided_by": "bake-off" if self.contest else "cross-validation",
            "expected": self.expected,
        }

    def sentence(self, cell: Cell) -> str:
        """Say it in one line."""
        grounds = "a bake-off" if self.contest else "cross-validation"
        line = f"{cell.name}: {self.strategy}"
        if self.runner_up:
            line += f", not {self.runner_up}, by {grounds}"
        if self.confidence is not None:
            line += f" ({self.confidence:.0%} sure)"
        if self.expected["accuracy"] is not None:
            line += f"; expect {self.expected['accuracy']:.1%} and log loss {self.expected['log_loss']:.3f}"
        return line


def _show_evidence(evidence: Evidence, cell: Cell) -> None:
    """Show the probes as a table, and what else was measured in a line."""
    rows = [
        (f"stage {stage}", f"{probe.kind}", _share(probe.accuracy), f"{probe.log_loss:.3f}", f"{value:.2f}")
        for stage, probe, value in zip(evidence.stages, evidence.linear, evidence.log_evidence, strict=True)
    ]
    rows += [
        ("stage " + " + ".join(probe.stages), "svm", _share(probe.accuracy), f"{probe.log_loss:.3f}", "")
        for probe in evidence.svm
    ]
    table("Evidence, cross-validated", ("features", "probe", "accuracy", "log loss", "LogME"), rows)
    parts = [f"{evidence.pictures:,} pictures, similarity {cell.similarity:.2f}"]
    if evidence.own is not None:
        parts.append(f"the backbone's own classes: entropy {evidence.own.entropy:.2f}")
    expected = at_twice(evidence.growth)
    if expected is not None:
        parts.append(f"log loss {evidence.growth[-1].log_loss:.3f}, {expected:.3f} with twice the pictures")
    say("; ".join(parts))


def _share(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.1%}"
