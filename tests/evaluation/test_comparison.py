import json
import math
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, log_loss, roc_auc_score

from catsdogs.core.comparison import Comparison
from catsdogs.core.errors import DataError
from catsdogs.core.predictions import Predictions
from catsdogs.evaluation.comparison import compare, sentence
from catsdogs.evaluation.pairing import Pairing, holm

NAMES = ("first", "second", "third")


def answers(models: int = 2, n: int = 400, *, better: float = 1.0, seed: int = 0) -> list[Predictions]:
    """Models that find the same pictures hard; each is surer of the truth than the one before it."""
    chance = np.random.default_rng(seed)
    labels = chance.integers(0, 2, n)
    shared = chance.normal(scale=1.2, size=n)
    found = []
    for model in range(models):
        margin = 1.0 + better * model + shared + chance.normal(scale=0.5, size=n)
        signed = np.where(labels == 1, margin, -margin)
        logits = np.stack([-signed, signed], axis=1)
        found.append(Predictions(tuple(f"{i}.jpg" for i in range(n)), ("cat", "dog"), logits, labels))
    return found


def right(one: Predictions) -> np.ndarray:
    return one.logits.argmax(axis=1) == one.labels


def test_differences_are_those_of_the_figures_and_intervals_are_paired() -> None:
    one, other = answers()
    found = compare([one, other], NAMES[:2])
    second = found.others[0]
    reference = {
        "accuracy": lambda p: right(p).mean(),
        "balanced_accuracy": lambda p: balanced_accuracy_score(p.labels, p.predicted),
        "log_loss": lambda p: log_loss(p.labels, p.probabilities),
        "auroc": lambda p: roc_auc_score(p.labels, p.probabilities[:, 1]),
    }
    for name, figure in reference.items():
        sign = -1 if name == "log_loss" else 1
        assert found.figures["second"][name].value == pytest.approx(figure(other), abs=1e-9)
        gain = second.gain[name]
        assert gain.value == pytest.approx(sign * (figure(other) - figure(one)), abs=1e-9)
        assert gain.low <= gain.value <= gain.high
        width = gain.high - gain.low
        own = found.figures["first"][name]
        assert width < (own.high - own.low) * 1.2  # apart, the two would be known much less well
    assert second.fixed == (right(other) & ~right(one)).sum()
    assert second.broken == (right(one) & ~right(other)).sum()
    losses = [-np.log(p.probabilities[np.arange(400), p.labels]) for p in (one, other)]
    error = (losses[0] - losses[1]).std(ddof=1) / 20
    assert second.gain["log_loss"].low == pytest.approx(second.gain["log_loss"].value - 1.96 * error, rel=0.1)


def test_mcnemar_is_the_binomial_test_of_the_pictures_that_changed() -> None:
    fixed, broken = 9, 2
    tail = sum(math.comb(11, k) for k in range(broken + 1)) / 2**11
    assert Pairing(fixed, broken, 50, 3).p_value == pytest.approx(2 * tail)
    assert Pairing(0, 0, 50, 3).p_value == 1.0


def test_holm_by_hand() -> None:
    assert holm([0.04, 0.01, 0.03, 0.5]) == pytest.approx([0.09, 0.04, 0.09, 0.5])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_pictures_are_matched_by_id_and_what_cannot_be_is_counted() -> None:
    one, other = answers()
    shuffled = other.select(np.random.default_rng(1).permutation(400)[:390])
    same = compare([one.select([one.ids.index(i) for i in shuffled.ids]), shuffled], NAMES[:2])
    mixed = compare([one, shuffled], NAMES[:2])
    assert mixed.n == 390
    assert mixed.left_out == {"first": 10, "second": 0}
    assert mixed.others[0].gain["accuracy"] == same.others[0].gain["accuracy"]
    broken = replace(one, errors={3: "damaged", 4: "damaged"})
    assert compare([broken, other], NAMES[:2]).n == 398
    unlabelled = one.with_labels([-1] * 400)
    assert compare([unlabelled, other], NAMES[:2]).figures == compare([one, other], NAMES[:2]).figures


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: replace(p, class_names=("cat", "fox")), "second knows cat, fox; first knows cat, dog"),
        (lambda p: replace(p, ids=tuple(f"x/{i}" for i in p.ids)), r"no picture in common \(0.jpg in first"),
        (lambda p: p.with_labels((1 - p.labels).tolist()), "0.jpg is a .* elsewhere and a .* in second"),
        (lambda p: replace(p, errors=dict.fromkeys(range(400), "damaged")), "none of the 400 pictures"),
    ],
)
def test_what_cannot_be_compared(change, words: str) -> None:
    one, other = answers()
    with pytest.raises(DataError, match=words):
        compare([one, change(other)], NAMES[:2])


def test_three_models_each_against_the_first_and_all_pairs() -> None:
    models = answers(3)
    found = compare(models, NAMES)
    assert [other.name for other in found.others] == ["second", "third"]
    raw = [Pairing.of(right(models[0]), right(other)).p_value for other in models[1:]]
    assert [other.p_value for other in found.others] == holm(raw)
    gains, p_values = np.array(found.gain_matrix), np.array(found.p_matrix)
    np.testing.assert_allclose(gains, -gains.T)
    np.testing.assert_array_equal(p_values, p_values.T)
    assert gains[2, 0] == pytest.approx(found.others[1].gain["accuracy"].value)
    assert (np.diag(p_values) == 1).all()


def test_it_survives_json_and_repeats() -> None:
    found = compare(answers(3), NAMES, seed=4)
    again = Comparison.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again == found == compare(answers(3), NAMES, seed=4)
    with pytest.raises(DataError, match="not a comparison"):
        Comparison.from_dict({"names": ["a"]})


def test_the_pictures_that_changed_most_come_first() -> None:
    one, other = answers()
    fixed = compare([one, other], NAMES[:2]).others[0].fixed_pictures
    assert 0 < len(fixed) <= 20
    moves = [change.probability_after - change.probability_before for change in fixed]
    assert moves == sorted(moves, reverse=True)
    assert all(change.before != change.true == change.after for change in fixed)


def counted(fixed: int, broken: int, n: int = 2000) -> Comparison:
    """Compare two models that differ on so many pictures."""
    labels = np.arange(n) % 2
    wrong_before = np.isin(np.arange(n), np.arange(10, 10 + fixed))
    wrong_after = np.isin(np.arange(n), np.arange(500, 500 + broken))
    made = []
    for wrong in (wrong_before, wrong_after):
        called = np.where(wrong, 1 - labels, labels)
        made.append(Predictions(tuple(map(str, range(n))), ("cat", "dog"), 3.0 * np.eye(2)[called], labels))
    return compare(made, ("A", "B"), resamples=100)


def test_words() -> None:
    proven = counted(20, 4)
    assert sentence(proven, proven.others[0]).startswith(
        "B is better than A by 0.8 points (95 % 0.3 to 1.4); 20 pictures fixed, 4 broken, p = 0.0015. "
        "The log loss of B is lower than that of A by 0.0240 (95 % "
    )
    worse = counted(4, 20)
    assert "A is better than B by 0.8 points (95 % 0.3 to 1.4); 4 pictures fixed" in sentence(
        worse, worse.others[0]
    )
    doubtful = counted(11, 3)
    assert "better than A by 0.4 points (95 % 0.0 to 0.8)" in sentence(doubtful, doubtful.others[0])
    assert "the exact test alone does not prove it" in sentence(doubtful, doubtful.others[0])
    unproven = counted(1, 2)
    words = sentence(unproven, unproven.others[0])
    assert words.startswith("No difference in accuracy between B and A is proven: -0.1 points")
    assert "1 picture fixed, 2 broken, p = 1. No difference in log loss is proven: " in words


def test_a_few_pictures_prove_nothing_about_log_losses() -> None:
    for n in (1, 2, 5):
        found = compare(answers(n=n, better=3.0), NAMES[:2])
        assert "Log losses of so few pictures cannot be compared" in sentence(found, found.others[0])
    enough = compare(answers(n=40, better=3.0), NAMES[:2])
    assert "The log loss of second is lower" in sentence(enough, enough.others[0])
