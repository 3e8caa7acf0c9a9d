"""The bound of a submission's probabilities: from the run's validation pictures where there are any."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from catsdogs.core.predictions import Predictions
from catsdogs.evaluation.clipping import clip_bound
from catsdogs.models.modelcard import find_model

VALIDATION = "validation.npz"
# As if 199 unseen pictures had all been right: what one knows of a model that comes without its pictures.
_UNKNOWN = 0.005


def submission_bound(checkpoint: Path) -> tuple[float, str]:
    """Return the bound, and in a few words where it comes from.

    A run keeps its calibrated validation logits in ``validation.npz``. A model without its run gets a
    cautious bound.
    """
    model = find_model(checkpoint)
    for folder in (model, model.parent):
        if (folder / VALIDATION).is_file():
            said = Predictions.load(folder / VALIDATION).scorable()
            if len(said):
                true = said.probabilities[np.arange(len(said)), said.labels]
                return clip_bound(true), f"the best on {len(said):,} validation pictures"
    return _UNKNOWN, "a cautious bound: the model comes without validation pictures"
