"""Suspected labels equal cleanlab's; planted errors come first; the estimate holds how many there are."""

import json
import math

import numpy as np
import pytest
from cleanlab.count import num_label_issues
from cleanlab.filter import find_label_issues

from catsdogs.core.errors import DataError
from catsdogs.core.predictions import UNLABELLED, Predictions
from catsdogs.evaluation.labelcheck import (
    MOST_KEPT,
    Conflict,
    LabelCheck,
    check_labels,
    estimated_errors,
    suspected_labels,
)


def predictions(probabilities, labels, **more):
    probabilities = np.asarray(probabilities, dtype=np.float64)
    ids = tuple(f"{number}.jpg" for number in range(len(probabilities)))
    names = ("cat", "dog", "fox", "hen", "owl")[: probabilities.shape[1]]
    return Predictions(ids, names, np.log(probabilities), np.asarray(labels, dtype=np.int64), **more)


def flipped(seed, n=500, wrong=15):
    """What a good, calibrated model says of n pictures of two classes, some of which are called wrong."""
    chance = np.random.default_rng(seed)
    truth = np.arange(n) % 2
    shares = 1 / (1 + np.exp(-chance.normal(6, 2, n)))
    own = np.where(chance.uniform(size=n) < shares, shares, 1 - shares)
    probabilities = np.where((truth == 1)[:, None], np.stack([1 - own, own], 1), np.stack([own, 1 - own], 1))
    labels = truth.copy()
    places = chance.choice(n, wrong, replace=False)
    labels[places] = 1 - labels[places]
    return probabilities, labels, set(places.tolist())


@pytest.mark.parametrize("seed", range(40))
def test_the_suspected_and_their_number_are_cleanlabs(seed):
    chance = np.random.default_rng(seed)
    n, classes = int(chance.integers(5, 200)), int(chance.integers(2, 6))
    probabilities = chance.dirichlet(np.full(classes, chance.uniform(0.2, 2)), n)
    labels = chance.integers(0, classes, n)
    theirs = find_label_issues(labels, probabilities, filter_by="confident_learning", n_jobs=1)
    assert suspected_labels(probabilities, labels).tolist() == theirs.tolist()
    # Theirs is rounded to whole pictures in each class.
    count = num_label_issues(labels, probabilities, estimation_method="off_diagonal_calibrated")
    assert estimated_errors(probabilities, labels).value == pytest.approx(count, abs=classes)


def test_by_hand():
    # Means of the own class: cats (.9 + .8 + .1) / 3 = .6, dogs (.9 + .7 + .5) / 3 = .7.
    probabilities = [[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.1, 0.9], [0.3, 0.7], [0.5, 0.5]]
    labels = np.array([0, 0, 0, 1, 1, 1])
    assert suspected_labels(np.array(probabilities), labels).tolist() == [False, False, True, *[False] * 3]
    # Of three cats that are confident of something one is a dog, of two dogs none is a cat.
    assert estimated_errors(np.array(probabilities), labels).value == pytest.approx(1)


def test_planted_errors_come_first_and_the_estimate_holds_their_number():
    held = 0
    for seed in range(10):
        probabilities, labels, planted = flipped(seed)
        check, doubts = check_labels(predictions(probabilities, labels), {}, origin="a test", seed=seed)
        first = {int(doubt.id.removesuffix(".jpg")) for doubt in doubts[:30]}
        assert len(first & planted) > 0.8 * len(planted)
        mistakes = int((probabilities.argmax(axis=1) != labels).sum())
        assert check.suspected <= mistakes
        assert check.errors.low <= check.errors.value <= check.errors.high
        held += check.errors.low <= len(planted) <= check.errors.high
    assert held >= 8


def test_the_surest_contradiction_leads_even_where_probabilities_round_to_zero():
    logits = np.array([[900.0, 0.0], [950.0, 0.0], [0.0, 3.0], [2.0, 0.0]])
    said = Predictions(tuple("abcd"), ("cat", "dog"), logits, np.array([1, 1, 1, 0]))
    _, doubts = check_labels(said, {}, origin="")
    assert [doubt.id for doubt in doubts] == ["b", "a", "d", "c"]
    assert [doubt.probability for doubt in doubts[:2]] == [0.0, 0.0]
    assert [doubt.score for doubt in doubts] == [-950, -900, 2, 3]


def test_what_a_row_says():
    rows = [[0.98, 0.01, 0.01], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.9, 0.05, 0.05]]
    said = predictions(rows, [1, 1, 2, 0])
    _, (first, second, *_) = check_labels(said, {}, origin="")
    assert (first.given, first.suggested, first.suspected) == ("dog", "cat", True)
    assert first.probability == pytest.approx(0.01)
    assert first.score == pytest.approx(math.log(0.01 / 0.98))
    assert first.caption == "given dog, looks like cat 0.98"
    assert (second.suspected, second.reason, second.suggested) == (False, "", "dog")


def test_duplicates_with_another_label_are_suspected_whatever_the_model_says():
    said = predictions([[0.99, 0.01], [0.02, 0.98], [0.9, 0.1], [0.1, 0.9]], [0, 1, 0, 1])
    conflicts = {
        "0.jpg": Conflict("cat", "same photo as x.jpg, called dog"),
        "x.jpg": Conflict("dog", "same photo as 0.jpg, called cat"),
    }
    check, doubts = check_labels(said, conflicts, origin="")
    assert [doubt.id for doubt in doubts] == ["0.jpg", "x.jpg", "2.jpg", "3.jpg", "1.jpg"]
    assert [doubt.suspected for doubt in doubts] == [True, True, False, False, False]
    assert (check.suspected, check.conflicting, check.n) == (2, 2, 5)
    assert math.isnan(doubts[1].score)
    assert doubts[1].caption == "given dog"


def test_unreadable_and_unlabelled_pictures_are_passed_over():
    said = predictions([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]], [0, 1, UNLABELLED], errors={1: "damaged"})
    assert [doubt.id for doubt in check_labels(said, {}, origin="")[1]] == ["0.jpg"]
    with pytest.raises(DataError, match="no labels to check"):
        check_labels(said.select([1, 2]), {}, origin="")


def test_a_weak_model_is_told_of():
    chance = np.random.default_rng(0)
    labels = chance.integers(0, 2, 100)
    weak, _ = check_labels(predictions(chance.dirichlet([1, 1], 100), labels), {}, origin="")
    assert weak.agreement < 0.7
    assert "its own mistakes" in weak.caution
    good, _ = check_labels(predictions(*flipped(0)[:2]), {}, origin="")
    assert good.caution == ""


def test_json_gives_it_back_and_holds_the_first_of_the_list():
    probabilities, labels, _ = flipped(1)
    check, doubts = check_labels(
        predictions(probabilities, labels), {"x.jpg": Conflict("cat", "why")}, origin="a test"
    )
    assert len(check.first) == MOST_KEPT < len(doubts)
    back = LabelCheck.from_dict(json.loads(json.dumps(check.to_dict(), allow_nan=False)))
    assert back.sentence == check.sentence
    assert back.to_dict() == check.to_dict()
    with pytest.raises(DataError, match="not a check of labels"):
        LabelCheck.from_dict({"n": 3})
