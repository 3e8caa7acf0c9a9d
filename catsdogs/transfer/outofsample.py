"""What a frozen backbone says of every picture without having learned from it, however many there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from catsdogs.core.errors import DataError
from catsdogs.core.predictions import Predictions
from catsdogs.data.folds import fold_numbers
from catsdogs.transfer.labelled import Study
from catsdogs.transfer.scoring import out_of_fold, score_svm

# Below what cross-validation takes, by more than the shares of a shuffle differ.
_SHARD = 4_500
# An SVM on the last two stages put more of the flipped labels first than on one or three of them, or than a
# linear probe (docs/LOG.md).
_STAGES = 2


def out_of_sample(
    study: Study, class_names: Sequence[str], *, advance: Callable[[int], None] = lambda _: None
) -> Predictions:
    """Cross-validate an SVM on the last stages, in shards of up to 4,500 pictures; groups stay together.

    Where a class is too rare to be in every shard, the shards are larger and hold pictures that nothing is
    said of.

    Args:
        study: Of all the pictures.
        class_names: In the order of the labels.
        advance: Called with the number of pictures that are done.

    Raises:
        DataError: There are too few pictures of a class to cross-validate.
    """
    stages = [stage.name for stage in study.stages[-_STAGES:]]
    parts = []
    for shard in _shards(study):
        said = out_of_fold(shard, score_svm(shard, stages), class_names)
        if said is None:
            raise DataError("there are too few pictures to cross-validate: each class needs two or more")
        parts.append(said)
        advance(len(shard.labels))
    return Predictions(
        ids=tuple(id for part in parts for id in part.ids),
        class_names=tuple(class_names),
        logits=np.concatenate([part.logits for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
    )


def _shards(study: Study) -> Iterator[Study]:
    count = -(-len(study.labels) // _SHARD)
    pairs = set(zip(study.labels.tolist(), study.units, strict=True))
    rarest = min(Counter(label for label, _ in pairs).values())
    count = max(1, min(count, rarest // 2))
    if count == 1:
        yield study
        return
    ties = dict(zip((record.id for record in study.features.records), study.units, strict=True))
    numbers = np.array(fold_numbers(study.features.records, folds=count, seed=study.seed, tie=ties))
    for number in range(count):
        yield study.take(np.flatnonzero(numbers == number))
