import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from catsdogs.core.errors import DataError
from catsdogs.core.merging import log_mean_probability
from catsdogs.core.predictions import Predictions, softmax
from catsdogs.core.viewanswers import ViewAnswers
from catsdogs.evaluation.views import compare_views, spread


def seen(n: int = 300, *, views: int = 4, unreadable: int = 0) -> Predictions:
    """Views that share a doubt about each picture and have one of their own; plain is the first of them."""
    chance = np.random.default_rng(0)
    labels = chance.integers(0, 3, n)
    truth = 3 * np.eye(3)[labels] + chance.normal(scale=1.5, size=(n, 3))
    logits = truth + chance.normal(scale=1.5, size=(views, n, 3))
    logits[:, :unreadable] = np.nan
    return Predictions(
        ids=tuple(map(str, range(n))),
        class_names=("a", "b", "c"),
        logits=log_mean_probability(logits),
        labels=labels,
        errors=dict.fromkeys(range(unreadable), "damaged"),
        views=ViewAnswers(tuple(f"view {v}" for v in range(views)), logits, logits[0]),
    )


def test_the_report_is_what_one_finds_by_hand() -> None:
    given = seen(unreadable=20)
    report = compare_views(given, merge="mean", picture_s=0.02)
    labels, plain, merged = given.labels[20:], given.views.plain[20:], given.logits[20:]
    wrong_before, wrong_after = plain.argmax(1) != labels, merged.argmax(1) != labels
    assert report.wrong_to_right == (wrong_before & ~wrong_after).sum() > 0
    assert report.right_to_wrong == (wrong_after & ~wrong_before).sum() > 0
    losses = [-np.log(softmax(each)[np.arange(280), labels]) for each in (plain, merged)]
    gain = report.gain["log_loss"]
    assert gain.value == pytest.approx((losses[0] - losses[1]).mean())
    error = (losses[0] - losses[1]).std(ddof=1) / math.sqrt(280)
    assert gain.low == pytest.approx(gain.value - 1.96 * error, abs=0.5 * error)
    assert gain.high == pytest.approx(gain.value + 1.96 * error, abs=0.5 * error)
    assert report.gain["accuracy"].value == pytest.approx(
        (report.wrong_to_right - report.right_to_wrong) / 280
    )
    probabilities = softmax(given.views.logits[:, 20:])
    mean = probabilities.mean(axis=0)
    by_hand = (probabilities * np.log(probabilities / mean)).sum(axis=2).mean(axis=0)
    np.testing.assert_allclose(spread(given.views.logits[:, 20:]), by_hand, atol=1e-12)
    assert report.doubt["spread"].value == pytest.approx(roc_auc_score(wrong_after, by_hand))
    assert report.doubt["confidence"].value == pytest.approx(roc_auc_score(wrong_after, -mean.max(axis=1)))
    assert report.views["view 0"]["accuracy"] == pytest.approx(1 - wrong_before.mean())
    assert report.views["view 0"]["log_loss"] == pytest.approx(losses[0].mean())
    assert (report.picture_ms, report.view_ms) == (20.0, 5.0)


def test_views_that_agree_have_no_spread_and_opposed_ones_the_most() -> None:
    one = np.random.default_rng(0).normal(size=(1, 5, 3))
    np.testing.assert_allclose(spread(np.repeat(one, 4, axis=0)), 0, atol=1e-12)
    opposed = np.array([[[500.0, 0.0]], [[0.0, 500.0]]])
    np.testing.assert_allclose(spread(opposed), math.log(2))


def test_equal_answers_gain_nothing_and_rank_nothing() -> None:
    given = seen(views=1)
    report = compare_views(given, merge="mean")
    assert report.wrong_to_right == report.right_to_wrong == 0
    assert report.gain["log_loss"].value == pytest.approx(0, abs=1e-12)
    assert report.gain["accuracy"].low < 0 < report.gain["accuracy"].high
    assert report.doubt["spread"].value == pytest.approx(0.5, abs=0.1)
    assert report.picture_ms is None


def test_the_same_seed_gives_the_same_report() -> None:
    given = seen(60)
    assert compare_views(given, merge="mean", seed=3) == compare_views(given, merge="mean", seed=3)
    assert compare_views(given, merge="mean", seed=3) != compare_views(given, merge="mean", seed=4)


def test_what_was_not_kept_cannot_be_compared() -> None:
    given = Predictions(("a",), ("x", "y"), np.zeros((1, 2)), np.zeros(1, dtype=np.int64))
    with pytest.raises(DataError, match="do not tell what each view said"):
        compare_views(given, merge="mean")
