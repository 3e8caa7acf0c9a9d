from dataclasses import replace

import numpy as np

from catsdogs.core.predictions import Predictions
from catsdogs.core.rawlabels import RawLabels
from catsdogs.evaluation.judge import evaluate
from catsdogs.reporting.sections.scores import confusion_section, scores_section


def answers(wrong: int) -> Predictions:
    labels = np.arange(40) % 2
    called = np.where(np.arange(40) < wrong, 1 - labels, labels)
    logits = np.where(called[:, None] == np.arange(2), 2.0, 0.0)
    return Predictions(tuple(f"{n}.jpg" for n in range(40)), ("cat", "dog"), logits, labels)


def test_figures_on_the_labels_as_given_stand_beside_those_on_corrected_ones() -> None:
    corrected, given = (evaluate(answers(wrong), split="test", tta="none") for wrong in (1, 3))
    raw = RawLabels(n=40, changed=2, removed=0, metrics=given.metrics)
    section = scores_section(replace(corrected, raw_labels=raw))
    assert "2 were corrected, and 0 pictures removed; on the 40 labels as given the" in section.lead
    assert "accuracy is 92.50% (" in section.lead
    grid = section.blocks[0]
    assert grid.header[1:3] == ("value (95 % interval)", "on the labels as given")
    assert grid.rows[0][1].startswith("97.50%")
    assert grid.rows[0][2].startswith("92.50%")
    assert all(len(row) == len(grid.header) for row in grid.rows)
    assert len(scores_section(corrected).blocks[0].header) == 3


def test_views_are_named_where_there_are_several() -> None:
    one = evaluate(answers(1), split="test", tta="none")
    assert "40 test pictures are right. " in scores_section(one).lead
    assert "40 test pictures are right, with views flip. " in scores_section(replace(one, tta="flip")).lead


def test_one_confusion_is_once() -> None:
    report = evaluate(answers(1), split="test", tta="none")
    assert confusion_section(report, answers(1)).lead.endswith("Most often cat is called dog: 1 time.")
