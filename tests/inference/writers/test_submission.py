"""Kaggle's submission, clipped and raw, and the logits that grow on disk."""

from pathlib import Path

import numpy as np
import pytest

from catsdogs.core.errors import ConfigError
from catsdogs.core.predictions import Predictions
from catsdogs.inference.writers.logits import LogitsFile
from catsdogs.inference.writers.submission import Submission, submission_numbers


def logits(*shares: float) -> np.ndarray:
    return np.log([[1 - share, share] for share in shares])


def test_numeric_order_probability_of_dog_and_a_half_for_the_unreadable(tmp_path: Path) -> None:
    submission = Submission(("cat", "Dog"))
    submission.add(["test1/10.jpg", "test1/9.jpg"], logits(0.1, 0.75), {1: "damaged"})
    submission.add(["test1/0100.png", "1.jpg"], logits(0.999, 2 / 3), {})
    submission.save(tmp_path / "s.csv", 0.02)
    lines = (tmp_path / "s.csv").read_text().splitlines()
    assert lines == ["id,label", "1,0.666666667", "9,0.5", "10,0.1", "100,0.98"]
    assert (tmp_path / "s.raw.csv").read_text().splitlines() == [*lines[:-1], "100,0.999"]


@pytest.mark.parametrize(
    ("classes", "names", "message"),
    [
        (("normal", "pneumonia"), ["1.jpg"], "this one knows normal, pneumonia"),
        (("cat", "dog", "fox"), ["1.jpg"], "this one knows cat, dog, fox"),
        (("cat", "dog"), ["1.jpg", "Thumbs.db"], "named by number, such as 12.jpg, not Thumbs.db"),
        (("cat", "dog"), ["-1.jpg"], "not -1.jpg"),
        (("cat", "dog"), ["1.5.jpg"], "not 1.5.jpg"),
        (("cat", "dog"), ["٣.jpg"], "named by number"),
        (("cat", "dog"), ["9" * 5000], "named by number"),
        (("cat", "dog"), ["a/1.jpg", "b/01.png", "2.jpg"], "1 occurs 2 times"),
    ],
)
def test_what_cannot_be_submitted_is_refused_early(classes, names, message) -> None:
    with pytest.raises(ConfigError) as caught:
        submission_numbers(classes, names)
    assert message in str(caught.value)


def test_logits_in_parts_are_what_predictions_save(tmp_path: Path) -> None:
    names = ("a", "é\n", "\udcff", "d", "e")
    errors = {1: "damaged", 4: "empty \udcff"}
    values = np.random.default_rng(0).normal(size=(5, 3))
    values[list(errors)] = np.nan
    whole = Predictions(names, ("x", "y", "z"), values, np.full(5, -1), errors)
    file = LogitsFile(whole.class_names)
    for part in ([0, 1], [2], [3, 4]):
        said = whole.select(part)
        file.add(said.ids, said.logits, said.errors)
    file.save(tmp_path / "p.npz")
    loaded = Predictions.load(tmp_path / "p.npz")
    np.testing.assert_array_equal(loaded.logits, whole.logits)
    np.testing.assert_array_equal(loaded.labels, whole.labels)
    assert (loaded.ids, loaded.class_names, loaded.errors) == (names, whole.class_names, errors)


def test_no_logits_at_all(tmp_path: Path) -> None:
    LogitsFile(("cat", "dog")).save(tmp_path / "p.npz")
    assert Predictions.load(tmp_path / "p.npz").logits.shape == (0, 2)
