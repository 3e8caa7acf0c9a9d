import numpy as np
import pytest

from catsdogs.core.predictions import Predictions
from catsdogs.reporting.page.blocks import Grid
from catsdogs.reporting.sections.abstention import abstention_section


def answers(n: int, wrong: int) -> Predictions:
    """Answers of which the least sure are wrong."""
    labels = np.zeros(n, dtype=np.int64)
    margin = np.linspace(0.1, 6, n)
    logits = np.stack([np.where(np.arange(n) < wrong, -margin, margin), np.zeros(n)], axis=1)
    return Predictions(tuple(f"{k}.jpg" for k in range(n)), ("cat", "dog"), logits, labels)


@pytest.mark.parametrize(
    ("n", "wrong", "words"),
    [
        (90, 4, ", which is more than 2.0%, but within what chance does to so few pictures."),
        (2000, 300, ", which is more than 5.0% beyond chance: they are unlike the held-out pictures."),
    ],
)
def test_a_threshold_that_misses_its_promise_says_so(n, wrong, words) -> None:
    lead = abstention_section(answers(n, wrong), answers(1000, 5)).lead
    assert lead.endswith(words)
    assert "answer all: 100.0% of the test pictures" in lead


def test_a_threshold_that_keeps_it_does_not() -> None:
    section = abstention_section(answers(1000, 30), answers(1000, 30))
    assert section.lead.startswith("3.00% (2.11% to 4.25%) of all answers are wrong. To let at most 2.0%")
    assert "more than" not in section.lead
    assert any(isinstance(block, Grid) for block in section.blocks)


def test_without_held_out_pictures_nothing_is_promised() -> None:
    section = abstention_section(answers(50, 3), None)
    assert section.lead.endswith("Too few held-out pictures promise no threshold.")
    assert not any(isinstance(block, Grid) for block in section.blocks)
