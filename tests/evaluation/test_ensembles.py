import json
import math
from itertools import product

import numpy as np
import pytest

from catsdogs.core.ensemblereport import EnsembleReport
from catsdogs.core.errors import DataError
from catsdogs.core.predictions import Predictions
from catsdogs.core.temperature import log_loss
from catsdogs.core.voting import Vote
from catsdogs.evaluation.ensembles import (
    error_correlations,
    judge,
    majority_error,
    majority_error_of,
    quality_by_size,
    why,
)
from catsdogs.evaluation.selection import greedy_selection

NAMES = ("a", "b", "c", "d", "e")


def answers(members: int = 5, n: int = 500, *, shared: float = 1.0) -> list[Predictions]:
    """Members that share a doubt about each picture and have one of their own."""
    chance = np.random.default_rng(0)
    labels = chance.integers(0, 2, n)
    hard = chance.normal(scale=shared, size=n)
    found = []
    for _ in range(members):
        margin = 1.5 + hard + chance.normal(size=n)
        logits = np.stack([np.zeros(n), np.where(labels == 1, margin, -margin)], axis=1)
        found.append(Predictions(tuple(map(str, range(n))), ("cat", "dog"), logits, labels))
    return found


def judged(shared: float = 1.0):
    made = answers(shared=shared)
    vote = Vote.of("soft", [1] * 5)
    together = Predictions(
        made[0].ids, ("cat", "dog"), vote.merge(np.stack([one.logits for one in made])), made[0].labels
    )
    return judge(made, NAMES, together, kind="soft", best="b", voting=NAMES, source="test")


def test_the_lectures_number() -> None:
    assert majority_error(3, 0.01) == pytest.approx(0.000298, abs=1e-12)


@pytest.mark.parametrize(
    "errors", [[0.3], [0.1, 0.4], [0.01, 0.2, 0.5], [0.1, 0.2, 0.3, 0.4], [0.0, 1.0, 0.5]]
)
def test_independent_members_by_going_through_every_case(errors: list[float]) -> None:
    expected = 0.0
    for wrong in product((0, 1), repeat=len(errors)):
        chance = math.prod(error if one else 1 - error for one, error in zip(wrong, errors, strict=True))
        expected += chance * (0.5 if 2 * sum(wrong) == len(errors) else 2 * sum(wrong) > len(errors))
    assert majority_error_of(errors) == pytest.approx(expected, abs=1e-12)


def test_an_even_number_is_as_good_as_the_odd_one_below() -> None:
    assert majority_error(4, 0.1) == pytest.approx(majority_error(3, 0.1))


def test_correlations_are_those_of_numpy_and_undefined_without_a_mistake() -> None:
    wrong = (np.random.default_rng(0).random((3, 40)) < 0.3).astype(np.float64)
    np.testing.assert_allclose(error_correlations(wrong), np.corrcoef(wrong), atol=1e-12)
    wrong[1] = 0
    assert np.isnan(error_correlations(wrong)[1]).all()


def test_sizes_go_from_the_mean_member_to_all_of_them() -> None:
    made = answers()
    logits, labels = np.stack([one.logits for one in made]), made[0].labels
    sizes = quality_by_size(logits, labels, "soft")
    assert [size.subsets for size in sizes] == [5, 10, 10, 5, 1]
    alone = [(own.argmax(axis=1) != labels).mean() for own in logits]
    assert sizes[0].error == pytest.approx(np.mean(alone))
    assert (sizes[0].error_low, sizes[0].error_high) == (min(alone), max(alone))
    merged = Vote.of("soft", [1] * 5).merge(logits)
    assert sizes[4].log_loss == pytest.approx(log_loss(merged, labels))
    many = quality_by_size(np.concatenate([logits] * 3)[:12], labels, "majority", seed=3)
    assert many[5].subsets == 30
    assert many == quality_by_size(np.concatenate([logits] * 3)[:12], labels, "majority", seed=3)


def test_judgement_tells_promise_and_reality() -> None:
    found = judged()
    wrong = np.stack([one.predicted != one.labels for one in answers()])
    assert found.independent_error == pytest.approx(majority_error_of(wrong.mean(axis=1)))
    assert found.all_wrong == wrong.all(axis=0).sum() > 0
    assert found.most_wrong == (wrong.sum(axis=0) >= 3).sum()
    assert found.comparison.names == ("b", "the ensemble")
    assert 0.2 < found.mean_correlation < 0.9
    assert found.error.value > 2 * found.independent_error
    assert judged(shared=0.0).mean_correlation == pytest.approx(0, abs=0.1)


def report(judgement) -> EnsembleReport:
    return EnsembleReport("soft", dict.fromkeys(NAMES, 0.2), (), "equal weights", 50, 1.1, judgement)


def test_words_say_what_it_brought_and_why_not_more() -> None:
    lines = why(report(judged()))
    assert "best single member (b, chosen on other pictures)" in lines[0]
    assert "but independently, a majority of them would be wrong about" in lines[1]
    assert "They are wrong about the same pictures" in lines[2]
    assert why(report(None)) == [
        "No picture is left that all members have not learned from: nothing judges this ensemble."
    ]


def test_it_survives_json() -> None:
    for made in (report(judged()), report(None)):
        assert EnsembleReport.from_dict(json.loads(json.dumps(made.to_dict()))) == made
    with pytest.raises(DataError, match="report of an ensemble"):
        EnsembleReport.from_dict({})


class TestGreedySelection:
    def test_it_is_never_worse_than_the_best_single_member(self) -> None:
        made = answers()
        logits, labels = np.stack([one.logits for one in made]), made[0].labels
        found = greedy_selection(logits, labels)
        assert found.log_loss <= min(log_loss(own, labels) for own in logits)
        merged = Vote.of("soft", found.ballots[found.ballots > 0]).merge(logits[found.ballots > 0])
        assert log_loss(merged, labels) == pytest.approx(found.log_loss)

    def test_a_useless_member_is_left_out_and_a_good_one_taken_alone(self) -> None:
        good = answers(1)[0]
        noise = np.random.default_rng(1).normal(size=good.logits.shape) * 5
        ballots = greedy_selection(np.stack([noise, good.logits, noise]), good.labels).ballots
        assert ballots[1] > 0
        perfect = 50 * np.eye(2)[good.labels]
        assert greedy_selection(np.stack([noise, perfect]), good.labels).ballots.tolist() == [0, 1]
