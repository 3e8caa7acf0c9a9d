"""What withholding answers promises is kept on pictures that nobody has looked at."""

import numpy as np
import pytest

from catsdogs.core.predictions import Predictions
from catsdogs.evaluation.abstention import conformal_threshold, risk_coverage, withhold


def world(n: int, seed: int, *, too_sure: float = 1.0, classes: int = 2) -> Predictions:
    """A model that is right as often as it says, but for a factor on its logits."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(scale=2.5, size=(n, classes))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (generator.random((n, 1)) > shares.cumsum(axis=1)[:, :-1]).sum(axis=1)
    ids, names = tuple(map(str, range(n))), tuple(f"c{c}" for c in range(classes))
    return Predictions(ids, names, too_sure * logits, labels)


@pytest.mark.parametrize(("classes", "too_sure"), [(2, 1.0), (2, 4.0), (5, 0.5)])
@pytest.mark.parametrize("wanted", [0.02, 0.1])
def test_the_threshold_keeps_its_promise_however_wrong_the_probabilities(classes, too_sure, wanted) -> None:
    new = world(4_000, 10_000, too_sure=too_sure, classes=classes)
    kept = [
        withhold(
            new,
            conformal_threshold(world(200, seed, too_sure=too_sure, classes=classes), wanted).confidence,
        ).wrong.value
        for seed in range(150)
    ]
    # Of the draws of held-out pictures, and of the new ones.
    error = np.hypot(np.std(kept) / np.sqrt(150), np.sqrt(wanted / 4_000))
    assert np.mean(kept) < wanted + 3 * error
    assert np.mean(kept) > wanted - 1.2 / 201 - 3 * error  # nothing is withheld in vain


def test_too_few_pictures_promise_nothing() -> None:
    assert not conformal_threshold(world(98, 0), 0.01).possible
    one_answer_in_a_hundred = conformal_threshold(world(99, 0), 0.01)
    assert one_answer_in_a_hundred.possible
    assert withhold(world(99, 0), one_answer_in_a_hundred.confidence).wrong.value == 0
    nothing = withhold(world(50, 0), float("inf"))
    assert (nothing.answered.value, nothing.wrong.value) == (0, 0)
    assert not nothing.accuracy.defined


def test_a_model_without_mistakes_answers_everything() -> None:
    said = world(300, 0)
    perfect = said.with_labels(said.predicted)
    assert conformal_threshold(perfect, 0.01).confidence == 0


def test_mistakes_of_equal_confidence_are_withheld_together() -> None:
    logits = np.tile([[0.0, 2.0]], (200, 1))
    labels = np.where(np.arange(200) < 20, 0, 1)  # a tenth is wrong, all equally sure
    said = Predictions(tuple(map(str, range(200))), ("a", "b"), logits, labels)
    found = conformal_threshold(said, 0.05)
    assert withhold(said, found.confidence).answered.value == 0
    curve = risk_coverage(said)
    assert curve.coverage.tolist() == [1.0]
    assert curve.risk[0].value == pytest.approx(0.1)


def test_the_curve_ends_at_the_error_rate_and_is_what_withholding_gives() -> None:
    said = world(1000, 3)
    curve = risk_coverage(said)
    assert len(curve.coverage) == 200
    assert curve.coverage[-1] == 1
    assert curve.risk[-1].value == pytest.approx(np.mean(said.predicted != said.labels))
    for place in (0, 50, 199):
        given = withhold(said, curve.threshold[place])
        assert given.answered.value == pytest.approx(curve.coverage[place])
        assert 1 - given.accuracy.value == pytest.approx(curve.risk[place].value)
    assert (np.diff(curve.coverage) > 0).all()
    assert (np.diff(curve.threshold) < 0).all()


def test_the_order_of_pictures_means_nothing() -> None:
    said = world(300, 1)
    shuffled = said.select(np.random.default_rng(0).permutation(300))
    assert conformal_threshold(said, 0.05) == conformal_threshold(shuffled, 0.05)
    assert risk_coverage(said).risk == risk_coverage(shuffled).risk
