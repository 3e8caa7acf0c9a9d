"""Where the model is wrong and sure of it: the pictures that repay a look."""

import numpy as np

from catsdogs.core.predictions import Predictions
from catsdogs.core.report import Mistake


def most_confident_mistakes(predictions: Predictions, n: int = 20) -> tuple[Mistake, ...]:
    """Return up to ``n`` wrong predictions, the most confident first; equals stay in the pictures' order.

    Unreadable and unlabelled pictures are passed over.
    """
    scored = predictions.scorable()
    predicted, confidence = scored.predicted, scored.probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != scored.labels)
    surest = wrong[np.argsort(-confidence[wrong], kind="stable")][:n]
    return tuple(
        Mistake(
            id=scored.ids[i],
            true=scored.class_names[scored.labels[i]],
            predicted=scored.class_names[predicted[i]],
            probability=float(confidence[i]),
        )
        for i in surest.tolist()
    )
