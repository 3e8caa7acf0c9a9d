import numpy as np
import pytest

from catsdogs.core.predictions import Predictions
from catsdogs.evaluation.abstention import risk_coverage
from catsdogs.evaluation.judge import evaluate
from catsdogs.reporting.sections.summary import summary_section


def answers(labels, right, sure, names=("cat", "dog")) -> Predictions:
    """Answers that are as sure as said, and right where said."""
    labels, right = np.array(labels), np.array(right)
    shares = np.full((len(labels), len(names)), (1 - sure) / (len(names) - 1))
    shares[np.arange(len(labels)), np.where(right, labels, (labels + 1) % len(names))] = sure
    ids = tuple(f"{number}.jpg" for number in range(len(labels)))
    return Predictions(ids, names, np.log(shares), labels)


def summary(said: Predictions, findings=()) -> str:
    report = evaluate(said, split="test", tta="none")
    return summary_section(
        "A probe, with 9 pictures to learn from", report, risk_coverage(said), findings
    ).lead


def test_no_test_pictures_are_one_whole_sentence() -> None:
    lead = summary_section("A probe, with 9 pictures to learn from", None, None, []).lead
    assert lead == "A probe, with 9 pictures to learn from: no picture was kept to test it."


@pytest.mark.parametrize(
    ("n", "wrong", "sure", "words"),
    [
        (10, 0, 0.93, "More pictures would tell whether its probabilities can be taken at their word"),
        (2, 0, 0.9999, "More pictures would tell whether its probabilities can be taken at their word"),
        (2000, 100, 0.95, "Its probabilities can be taken at their word"),
        (2000, 400, 0.99, "Its probabilities cannot be taken at their word"),
    ],
)
def test_probabilities_are_honest_only_where_the_interval_says_so(n, wrong, sure, words) -> None:
    lead = summary(answers(np.arange(n) % 2, np.arange(n) >= wrong, sure))
    assert f" right. {words} (off by " in lead
    assert "% to " in lead.split("of answers ")[1].split(" are wrong")[0]


def test_classes_are_compared_only_where_all_were_tested() -> None:
    even = answers([0, 1] * 20, [True] * 40, 0.9)
    assert summary(even).endswith(" It finds every class as often as the others.")
    assert summary(even, ["of the labels, 1 looks wrong"]).endswith(
        " It finds every class as often as the others; of the labels, 1 looks wrong."
    )
    uneven = answers([0, 1] * 20, [False] + [True] * 39, 0.9)
    assert "It finds cat least often: 95.00% (" in summary(uneven)
    one = answers([1] * 20, [True] * 20, 0.9, ("cat", "dog", "fox"))
    assert summary(one).endswith(" The test holds pictures of 1 of its 3 classes alone.")
