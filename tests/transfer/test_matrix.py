"""Evidence and matrix on made features: where the information is, is where the head goes."""

from dataclasses import replace

import numpy as np
import pytest

from catsdogs.core.records import ImageRecord
from catsdogs.models.stages import Stage
from catsdogs.transfer.evidence import loss_gap, measure, steps
from catsdogs.transfer.features import Features
from catsdogs.transfer.labelled import Study
from catsdogs.transfer.matrix import (
    best_frozen,
    candidate_with_gradients,
    locate,
    strategy_of,
    surety,
)
from catsdogs.transfer.thresholds import Thresholds

BORDERS = Thresholds()
STAGES = (Stage("1", 4, 8), Stage("2", 8, 12), Stage("top", 32, 16))


def made(n=200, *, informative=(), strength=2.0, curved=False, seed=0):
    """Return features whose classes differ in some stages only; ``curved`` ones no line can tell apart."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % 2)
    parts = []
    for stage in STAGES:
        part = rng.normal(size=(n, stage.width))
        if stage.name in informative and curved:
            part *= np.where(labels, 1.0, strength)[:, None]
            part[:, 0] += 0.7 * labels
        elif stage.name in informative:
            part[:, :4] += strength * labels[:, None]
        parts.append(part)
    records = tuple(ImageRecord(f"{i}.jpg", "photos", f"{i}.jpg", label="ab"[labels[i]]) for i in range(n))
    return Features(records, STAGES, np.concatenate(parts, axis=1).astype(np.float32)), labels


def evidence_of(n=200, **options):
    features, labels = made(n, **options)
    units = [record.id for record in features.records]
    return measure(Study(2, features, labels, tuple(units), 0))


@pytest.mark.parametrize(("informative", "strategy"), [("top", "linear_probe"), ("2", "stage_probe")])
def test_the_head_sits_where_the_information_is(informative, strategy):
    evidence = evidence_of(informative=[informative])
    probe, runner_up = best_frozen(evidence, BORDERS)
    assert evidence.best_linear.stages == (informative,)
    assert strategy_of(probe) in (strategy, "svm_probe")
    assert informative in probe.stages
    assert runner_up is not None
    assert strategy_of(runner_up) != strategy_of(probe)
    assert evidence.log_evidence[[stage.name for stage in STAGES].index(informative)] == max(
        evidence.log_evidence
    )


def test_a_curved_border_wants_an_svm():
    probe, _ = best_frozen(evidence_of(400, informative=["2"], strength=2.5, curved=True), BORDERS)
    assert strategy_of(probe) == "svm_probe"
    assert "2" in probe.stages


def test_what_several_stages_know_is_taken_together():
    evidence = evidence_of(300, informative=["1", "2", "top"], strength=0.7)
    probe, _ = best_frozen(evidence, BORDERS)
    assert probe.stages == ("1", "2", "top")
    assert probe.log_loss < evidence.best_linear.log_loss - 0.1


def test_on_twenty_pictures_the_luckiest_of_many_is_not_believed():
    """None of the stages knows anything, so the lowest of their losses is luck."""
    taken = {False: 0, True: 0}
    for seed in range(6):
        evidence = evidence_of(20, seed=seed)
        for cautious in taken:
            borders = replace(BORDERS, caution=BORDERS.caution if cautious else 0.0)
            taken[cautious] += best_frozen(evidence, borders)[0] is not evidence.safest
    assert taken[True] < taken[False]


def test_similarity_is_the_uncertainty_that_the_top_removes():
    similar = locate(evidence_of(informative=["top"], strength=4.0), 200, BORDERS)
    different = locate(evidence_of(informative=["2"]), 200, BORDERS)
    assert similar.similar
    assert similar.similarity > 0.9
    assert not different.similar
    assert different.similarity < 0.2
    assert similar.name == "little and similar"
    assert locate(evidence_of(informative=["2"]), 100_000, BORDERS).name == "plenty and different"


def test_gradients_are_tried_where_there_are_pictures_for_them():
    evidence = evidence_of(informative=["top"])
    assert candidate_with_gradients(locate(evidence, BORDERS.plenty - 1, BORDERS)) is None
    assert candidate_with_gradients(locate(evidence, BORDERS.plenty, BORDERS)) is not None


def test_too_few_pictures_for_folds_give_a_linear_probe():
    features, _ = made(4, informative=["top"])
    labels = np.array([0, 0, 0, 1])
    evidence = measure(Study(2, features, labels, tuple("abcd"), 0))
    probe, _ = best_frozen(evidence, BORDERS)
    assert strategy_of(probe) == "linear_probe"
    cell = locate(evidence, 4, BORDERS)
    assert cell.similar
    written = evidence.to_dict()
    assert written["stages"][0]["log_loss"] is None
    assert written["top_loses"] == {"log_loss": None, "error": None}


def test_evidence_in_plain_values():
    calls = []
    features, labels = made(60, informative=["2"])
    units = [record.id for record in features.records]
    head = np.random.default_rng(0).normal(size=(20, 16)), np.zeros(20)
    evidence = measure(Study(2, features, labels, tuple(units), 0), own_head=head, advance=calls.append)
    assert 0 < len(calls) <= steps(STAGES)
    written = evidence.to_dict()
    assert written["class_pictures"] == [30, 30]
    assert written["chance_log_loss"] == pytest.approx(np.log(2))
    assert written["top_loses"]["log_loss"] > 3 * written["top_loses"]["error"] > 0
    assert 0 < written["own_classifier"]["entropy"] < 1
    assert [one["stage"] for one in written["stages"]] == ["1", "2", "top"]


def test_a_gap_to_oneself_is_nothing():
    evidence = evidence_of(60, informative=["top"])
    assert loss_gap(evidence.top, evidence.top)["log_loss"] == 0


def test_surety_is_the_probability_of_the_paired_difference():
    rng = np.random.default_rng(0)
    losses = rng.random(400)
    assert surety(losses, losses + rng.normal(0.1, 0.5, 400)) > 0.99
    assert surety(losses + 0.1, losses + rng.normal(0, 0.1, 400)) < 0.01
    assert surety(losses, losses) == 0.5
    assert surety(losses[:1], losses[:1]) is None
