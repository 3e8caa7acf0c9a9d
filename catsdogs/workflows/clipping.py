"""The bound of a submission's probabilities: from what the run's model says of held-out pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from catsdogs.evaluation.clipping import clip_bound
from catsdogs.workflows.heldout import heldout

# As if 199 unseen pictures had all been right: what one knows of a model that comes without its pictures.
_UNKNOWN = 0.005


def submission_bound(checkpoint: Path) -> tuple[float, str]:
    """Return the bound, and in a few words where it comes from.

    A model without its run, or whose run held nothing out, gets a cautious bound.
    """
    said = heldout(checkpoint)
    if said is None:
        return _UNKNOWN, "a cautious bound: the model comes without held-out pictures"
    true = said.probabilities[np.arange(len(said)), said.labels]
    return clip_bound(true), f"the best on {len(said):,} held-out pictures"
