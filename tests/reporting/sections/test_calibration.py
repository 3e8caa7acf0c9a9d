import numpy as np

from catsdogs.core.predictions import Predictions
from catsdogs.reporting.sections.calibration import calibration_section


def answers(wrong: int, margin: float) -> Predictions:
    """Twenty answers, all as sure as each other."""
    labels = np.arange(20) % 2
    called = np.where(np.arange(20) < wrong, 1 - labels, labels)
    logits = np.where(called[:, None] == np.arange(2), margin, 0.0)
    return Predictions(tuple(f"{n}.jpg" for n in range(20)), ("cat", "dog"), logits, labels)


def test_the_lead_says_what_the_temperature_did_to_these_pictures() -> None:
    helped = calibration_section(answers(0, 8.0), None, 0.5).lead
    assert helped.startswith(
        "A temperature of 0.50 makes the model more sure; on the test pictures the log loss"
    )
    assert "did not help" not in helped
    harmed = calibration_section(answers(6, 8.0), None, 0.5).lead
    assert "more sure" in harmed
    assert harmed.endswith(", so it did not help there. It changes no label.")
    assert "makes the model less sure" in calibration_section(answers(6, 1.0), None, 4.0).lead


def test_without_a_temperature_nothing_is_claimed_of_it() -> None:
    section = calibration_section(answers(2, 2.0), None, 1.0)
    assert section.lead == "The probabilities are as they come from the head: there is no temperature."
    assert [row[0] for row in section.blocks[0].rows] == ["test"]
