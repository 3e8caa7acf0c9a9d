"""Choose: the strategy that was asked for, or the one that the evidence speaks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
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
)
from catsdogs.transfer.scoring import ScoredProbe, out_of_fold, score_linear
from catsdogs.transfer.strategies import Strategy, find_strategy
from catsdogs.workflows.bakeoff import Challenger, bake_off
from catsdogs.workflows.runfolder import RunFolder
from catsdogs.workflows.settings import TrainSettings
from catsdogs.workflows.start import Start, assemble, probe_for
from catsdogs.workflows.study import Base
from catsdogs.workflows.verdict import Considered, Verdict
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
