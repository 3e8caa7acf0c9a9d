import numpy as np
import pytest

from catsdogs.core.errors import ModelError
from catsdogs.core.merging import log_mean_probability, log_votes
from catsdogs.core.predictions import softmax
from catsdogs.core.temperature import log_loss
from catsdogs.core.voting import Vote

LOGITS = np.random.default_rng(0).normal(scale=3, size=(4, 50, 3))


def test_with_equal_ballots_it_is_what_views_do() -> None:
    soft, majority = (Vote.of(kind, [1, 1, 1, 1]).merge(LOGITS) for kind in ("soft", "majority"))
    np.testing.assert_allclose(soft, log_mean_probability(LOGITS), atol=1e-12)
    np.testing.assert_allclose(majority, log_votes(LOGITS), atol=1e-12)


def test_a_ballot_twice_is_a_member_twice() -> None:
    doubled = LOGITS[[0, 1, 1, 2]]
    for kind in ("soft", "majority"):
        once = Vote.of(kind, [1, 2, 1]).merge(LOGITS[:3])
        np.testing.assert_allclose(once, Vote.of(kind, [1] * 4).merge(doubled), atol=1e-12)


def test_the_mean_breaks_ties_and_nothing_else() -> None:
    tie = np.array([[[0.0, 1.0]], [[4.0, 0.0]]])
    assert Vote.of("majority", [1, 1]).merge(tie).argmax() == 0
    outvoted = np.array([[[0.0, 0.1]], [[0.0, 0.1]], [[50.0, 0.0]]])
    assert Vote.of("majority", [1, 1, 1]).merge(outvoted).argmax() == 1
    assert Vote.of("soft", [1, 1, 1]).merge(outvoted).argmax() == 0


def test_log_loss_stays_finite_and_probabilities_sum_to_1() -> None:
    sure = np.array([[[2000.0, 0.0]], [[2000.0, 0.0]]])
    for kind in ("soft", "majority"):
        merged = Vote.of(kind, [1, 1]).merge(sure)
        assert np.isfinite(log_loss(merged, np.array([1])))
        np.testing.assert_allclose(np.exp(merged).sum(), 1, atol=1e-12)
    both = Vote.of("majority", [1, 1, 1, 1]).merge(LOGITS)
    np.testing.assert_allclose(softmax(both), np.exp(both), atol=1e-12)


def test_an_unreadable_picture_stays_one() -> None:
    lost = LOGITS.copy()
    lost[2, 7] = np.nan
    for kind in ("soft", "majority"):
        merged = Vote.of(kind, [1, 1, 1, 1]).merge(lost)
        assert np.isnan(merged[7]).all()
        assert np.isfinite(np.delete(merged, 7, axis=0)).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "loud"}, "'loud' is not one of soft, majority"),
        ({"weights": [0.7, 0.7]}, "sum to 1.4"),
        ({"weights": [0.0, 1.0]}, "not above 0"),
        ({"weights": [float("nan"), 1.0]}, "not above 0"),
        ({"weights": []}, "not above 0"),
        ({"weights": "ab"}, "damaged"),
        ({"kind": "majority"}, "smoothing"),
        ({"smoothing": None}, "damaged"),
    ],
)
def test_what_is_no_vote(change, words: str) -> None:
    good = Vote.of("soft", [1, 3]).to_dict()
    assert Vote.from_dict(good) == Vote.of("soft", [1, 3])
    with pytest.raises(ModelError, match=words):
        Vote.from_dict(good | change)
