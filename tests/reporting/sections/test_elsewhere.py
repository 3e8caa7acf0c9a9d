from dataclasses import replace

import numpy as np

from catsdogs.core.predictions import Predictions
from catsdogs.evaluation.judge import evaluate
from catsdogs.reporting.sections.elsewhere import elsewhere_section


def judged(right: int, n: int, pictures: str | None):
    labels = np.zeros(n, dtype=np.int64)
    logits = np.where(np.arange(n)[:, None] < right, [[2.0, 0.0]], [[0.0, 2.0]])
    said = Predictions(tuple(f"{i}.jpg" for i in range(n)), ("cat", "dog"), logits, labels)
    split = "val" if pictures is None else "input"
    return replace(evaluate(said, split=split, tta="flip", seed=0), pictures=pictures)


def test_each_evaluation_is_a_row_and_the_worst_is_named() -> None:
    section = elsewhere_section([judged(9, 10, None), judged(6, 10, "/photos/holiday.zip")])
    assert section is not None
    (grid,) = section.blocks
    assert [row[0] for row in grid.rows] == ["the val split", "holiday.zip"]
    assert all(len(row) == len(grid.header) for row in grid.rows)
    assert "60.00%" in section.lead
    assert "of 10 pictures of holiday.zip" in section.lead


def test_none_is_no_section() -> None:
    assert elsewhere_section([]) is None
