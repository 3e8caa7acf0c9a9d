"""The pictures worth a look: wrong, readable, labelled, surest first."""

import numpy as np
import pytest

from catsdogs.core.predictions import UNLABELLED, Predictions
from catsdogs.core.report import Mistake
from catsdogs.evaluation.mistakes import galleries, highest_loss, least_sure, most_confident_mistakes


def predictions(
    sure_of_dog: list[float], labels: list[int], errors: dict[int, str] | None = None
) -> Predictions:
    logits = np.stack([np.zeros(len(labels)), np.asarray(sure_of_dog)], axis=1)
    logits[list(errors or {})] = np.nan
    ids = tuple(f"{i}.jpg" for i in range(len(labels)))
    return Predictions(ids, ("cat", "dog"), logits, np.array(labels), errors or {})


def test_the_surest_comes_first():
    found = most_confident_mistakes(predictions([1.0, 3.0, -5.0, 4.0, -2.0], [0, 0, 1, 1, 0]))
    assert [mistake.id for mistake in found] == ["2.jpg", "1.jpg", "0.jpg"]
    assert found[0] == Mistake("2.jpg", true="dog", predicted="cat", probability=1 / (1 + np.exp(-5.0)))


def test_equals_stay_in_order_and_the_rest_is_cut():
    found = most_confident_mistakes(predictions([2.0] * 30, [0] * 30))
    assert [mistake.id for mistake in found] == [f"{i}.jpg" for i in range(20)]
    found = most_confident_mistakes(predictions([2.0, 5.0] * 500, [0] * 1000), n=1000)
    assert [mistake.id for mistake in found] == [f"{i}.jpg" for i in (*range(1, 1000, 2), *range(0, 1000, 2))]
    assert len(most_confident_mistakes(predictions([2.0] * 30, [0] * 30), n=3)) == 3


def test_unreadable_and_unlabelled_pictures_are_passed_over():
    given = predictions([9.0, 8.0, 1.0], [0, UNLABELLED, 0], {0: "truncated"})
    assert [mistake.id for mistake in most_confident_mistakes(given)] == ["2.jpg"]


def test_no_mistakes():
    assert most_confident_mistakes(predictions([1.0, -1.0], [1, 0])) == ()
    assert most_confident_mistakes(predictions([], [])) == ()


def test_the_least_sure_have_the_smallest_margin_right_or_wrong():
    found = least_sure(predictions([1.0, -0.1, 3.0, 0.2], [0, 0, 1, 1]), n=3)
    assert [one.id for one in found] == ["1.jpg", "3.jpg", "0.jpg"]
    assert [one.right for one in found] == [True, True, False]
    assert found[0].loss == pytest.approx(-np.log(1 / (1 + np.exp(-0.1))))


def test_the_highest_loss_is_first():
    found = highest_loss(predictions([1.0, 2.0, -9.0, 0.0], [0, 1, 1, 0], {1: "damaged"}))
    assert [one.id for one in found] == ["2.jpg", "0.jpg", "3.jpg"]
    assert found[0].loss == pytest.approx(9.0, abs=1e-3)


def test_galleries_hold_what_there_is():
    said = predictions([1.0, -2.0], [0, 0])
    alone = galleries(said)
    assert [one.id for one in alone.confident] == ["0.jpg"]
    assert (alone.hardest, alone.conflicting) == ((), ())
    labels = {"a": "cat", "b": "dog", "c": "cat", "d": "cat"}
    found = galleries(
        said, out_of_fold=said, conflicting=[("a", "b"), ("c", "d", "gone"), ("a", "gone")], labels=labels
    )
    assert [one.id for one in found.hardest] == ["0.jpg", "1.jpg"]
    assert found.conflicting == ((("a", "cat"), ("b", "dog")),)
