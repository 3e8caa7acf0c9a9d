"""The three measurements of robustness: each asks the model, judges the answers and checks itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from matplotlib.figure import Figure

from catsdogs.core.predictions import Predictions
from catsdogs.core.records import ImageRecord
from catsdogs.core.robustnessreport import AttackReport, Check, CorruptionReport, ShiftReport
from catsdogs.data.rendering import Draw
from catsdogs.evaluation.robustness import (
    answered,
    judge_attacks,
    judge_corruptions,
    judge_shifts,
    views_of,
)
from catsdogs.evaluation.robustnesschecks import (
    check_attacks,
    check_corruptions,
    check_shifts,
    check_steps,
)
from catsdogs.inference.engines.engine import Engine
from catsdogs.inference.predictor import Predictor, collect
from catsdogs.models.modelcard import ModelCard
from catsdogs.models.modelfile import load_model
from catsdogs.reporting.console import progress
from catsdogs.robustness.attacked import Attacked, attack_all
from catsdogs.robustness.attacks import PGD, PGD_STEPS, PLAN, Attack, Attacker
from catsdogs.robustness.corruptions import Corrupting
from catsdogs.robustness.shifts import Shifting, room_px
from catsdogs.workflows.stressing.sheets import draw_attacked, draw_corrupted

R = TypeVar("R")

# A longer attack is tried on so many pictures, and has so many times the steps.
_LONGER_ON, _LONGER_BY = 50, 4
# A smaller change than 1/255 cannot be shown in 8 bits.
_LEAST_SHOWN = 1.0


@dataclass(frozen=True)
class Pictures:
    """What is measured on.

    Attributes:
        records: The pictures.
        labels: Their true classes.
        workers: Threads that decode them.
    """

    records: tuple[ImageRecord, ...]
    labels: tuple[int, ...]
    workers: int


@dataclass(frozen=True)
class Part(Generic[R]):
    """What one measurement has brought.

    Attributes:
        answers: To the pictures that could be judged; one view a change.
        report: Their judgement.
        checks: Of the measurement itself.
        sheet: Examples for people, where there are any.
    """

    answers: Predictions
    report: R
    checks: tuple[Check, ...]
    sheet: Figure | None = None


def measure_corruptions(
    engine: Engine, card: ModelCard, pictures: Pictures, *, seed: int
) -> Part[CorruptionReport]:
    """Ask about every picture in every kind and strength of corruption."""
    draw = Corrupting(card.preprocess, seed=seed)
    places = [(kind.name, float(strength), kind.setting_at(strength)) for kind, strength in draw.places]
    answers = _ask("corrupted pictures", engine, card, pictures, draw, len(places))
    return Part(
        answers,
        judge_corruptions(answers, places, seed=seed),
        check_corruptions(answers, places),
        draw_corrupted(answers, pictures.records, card.preprocess, draw),
    )


def measure_shifts(engine: Engine, card: ModelCard, pictures: Pictures, *, seed: int) -> Part[ShiftReport]:
    """Ask about every picture moved in every direction."""
    draw = Shifting(card.preprocess)
    answers = _ask("moved pictures", engine, card, pictures, draw, len(draw.places))
    report = judge_shifts(answers, draw.places, room_px=room_px(card.preprocess), seed=seed)
    return Part(answers, report, check_shifts(answers, draw.places))


def attacker_of(checkpoint: Path) -> Attacker:
    """Return what attacks a model.

    Raises:
        UserError: The model cannot be read or attacked, or the library for it is not installed.
    """
    return Attacker(*load_model(checkpoint))


def measure_attacks(attacker: Attacker, card: ModelCard, pictures: Pictures) -> Part[AttackReport]:
    """Attack every picture at every strength."""
    with progress("attacks", len(PLAN) * len(pictures.records)) as advance:
        attacked = attack_all(
            attacker, card, pictures.records, pictures.labels, workers=pictures.workers, advance=advance
        )
    answers = answered(attacked.predictions.with_labels(pictures.labels))
    places = [(attack.kind, attack.strength, f"{attack.strength:g}/255") for attack in PLAN]
    report = judge_attacks(answers, places, steps=PGD_STEPS)
    checks = check_attacks(
        answers, places, largest=attacked.largest, still=attacked.still, inside=attacked.inside
    )
    shown = Attack(PGD, max(_LEAST_SHOWN, report.halved_at or max(attack.strength for attack in PLAN)))
    return Part(
        answers,
        report,
        (*checks, _longer(attacker, card, pictures, answers, report)),
        draw_attacked(answers, pictures.records, card.preprocess, attacker, shown),
    )


def _ask(
    name: str, engine: Engine, card: ModelCard, pictures: Pictures, draw: Draw, views: int
) -> Predictions:
    predictor = Predictor(
        engine,
        card,
        tta=f"random:{views}",
        merge="mean",
        keep_views=True,
        draw=draw,
        workers=pictures.workers,
    )
    with progress(name, len(pictures.records)) as advance:
        answers = collect(predictor.answers(pictures.records, advance), card.class_names)
    return answered(answers.with_labels(pictures.labels))


def _longer(
    attacker: Attacker, card: ModelCard, pictures: Pictures, answers: Predictions, report: AttackReport
) -> Check:
    """Try many more steps where half of the pictures still stand: there an attack has most to gain."""
    place, strength = _half_way(report)
    by_id = dict(zip((record.id for record in pictures.records), pictures.records, strict=True))
    # From the first to the last: pictures lie in the order of their classes.
    places = np.linspace(0, len(answers) - 1, min(_LONGER_ON, len(answers))).round().astype(np.int64)
    some = [by_id[answers.ids[at]] for at in places]
    labels = answers.labels[places]
    longer = Attack(PGD, strength, _LONGER_BY * PGD_STEPS)
    with progress("a longer attack", len(some)) as advance:
        found: Attacked = attack_all(
            attacker, card, some, labels.tolist(), plan=[longer], workers=pictures.workers, advance=advance
        )
    few, many = views_of(answers).logits[place, places], views_of(found.predictions).logits[0]
    words = f"PGD at {strength:g}/255 with {longer.steps} steps instead of {PGD_STEPS}"
    return check_steps(few, many, labels, words)


def _half_way(report: AttackReport) -> tuple[int, float]:
    """Return the place in the plan, and the strength, where PGD comes nearest to half the clean accuracy."""
    left = {
        step.strength: abs(step.accuracy.value - report.clean.value / 2)
        for series in report.series
        if series.name == PGD
        for step in series.steps
        if step.strength > 0
    }
    strength = min(left, key=lambda one: left[one])
    return PLAN.index(Attack(PGD, strength)), strength
