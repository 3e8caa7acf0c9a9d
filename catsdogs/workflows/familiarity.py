"""By what a model will know strange pictures: references from training, and distances of held-out ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from catsdogs.core.familiarity import LEAST_HELD_OUT, Familiarity
from catsdogs.core.predictions import IntArray, Predictions
from catsdogs.core.records import ImageRecord
from catsdogs.data.layouts import labels_of
from catsdogs.inference.engines.engine import Rows
from catsdogs.inference.predictor import collect
from catsdogs.models.modelcard import load_card
from catsdogs.reporting.console import progress
from catsdogs.transfer.labelled import Study
from catsdogs.workflows.applyoptions import WITHIN_A_RUN, open_predictor

_REFERENCES, _REFERENCES_A_CLASS, _MOST_REFERENCES = 300, 10, 2000


def familiar_to_backbone(study: Study, stages: Sequence[str]) -> Familiarity | None:
    """Return it for a frozen backbone, from features that are there already.

    Such features have learned from no picture here, so where validation has too few the other training
    pictures take its place.

    Args:
        study: Features of the training and the validation pictures.
        stages: What the head sits on.
    """
    training, held_out = study.of_split("train"), study.of_split("val").features.of(stages)
    chosen = references(training.labels, study.seed)
    rows = training.features.of(stages)
    if len(held_out) < LEAST_HELD_OUT:
        held_out = np.delete(rows, chosen, axis=0)
    return Familiarity.learn(rows[chosen], held_out)


def familiar_to_model(model: Path, training: Sequence[ImageRecord], held_out: Rows) -> Familiarity | None:
    """Return it for a trained backbone: the model looks at some training pictures once more.

    Args:
        model: Run folder or model folder.
        training: What it has learned from.
        held_out: The features of the validation pictures.
    """
    if len(held_out) < LEAST_HELD_OUT or not training:
        return None
    labels = np.asarray(labels_of(training, load_card(model).class_names))
    some = [training[place] for place in references(labels, seed=0)]
    return Familiarity.learn(look(model, some, "training")[1], held_out)


def references(labels: IntArray, seed: int) -> npt.NDArray[np.int64]:
    """Return ascending positions of some pictures of every class, as many of each where there are so many.

    300 are enough for a few classes; many classes have ten each.
    """
    classes = np.unique(labels)
    each = min(max(_REFERENCES, _REFERENCES_A_CLASS * len(classes)), _MOST_REFERENCES) // max(len(classes), 1)
    lots = np.random.default_rng(seed).permutation(len(labels))
    kept = [lots[labels[lots] == label][: max(each, 1)] for label in classes]
    return np.sort(np.concatenate([np.empty(0, dtype=np.int64), *kept]))


def look(model: Path, records: Sequence[ImageRecord], what: str) -> tuple[Predictions, Rows]:
    """Return what a model says of labelled pictures, and the features of the readable ones."""
    predictor = open_predictor(model, WITHIN_A_RUN, keep_features=True)
    with progress(f"predicting {what}", len(records)) as advance:
        answers = list(predictor.answers(records, advance))
    said = collect(answers, predictor.class_names)
    rows = [one.features for one in answers if one.features is not None and len(one.features)]
    features = np.concatenate(rows) if rows else np.empty((0, 0), dtype=np.float32)
    return replace(said, labels=np.asarray(labels_of(records, predictor.class_names))), features
