"""What a model says of pictures that it has not learned from, although its run knows their labels."""

from __future__ import annotations

from pathlib import Path

from catsdogs.core.predictions import Predictions
from catsdogs.models.modelcard import find_model
from catsdogs.workflows.runfolder import RunFolder


def heldout(checkpoint: Path) -> Predictions | None:
    """Return calibrated answers with labels, of which thresholds and weights may be learned.

    Those about the validation pictures where the model has not learned from them. A head that was fitted on
    them too has the answers of its cross-validation. None where a run has neither, or a model no run.

    Args:
        checkpoint: Run folder or model folder.

    Raises:
        UserError: There is no model, or a file is damaged.
    """
    model = find_model(checkpoint)
    for run in (RunFolder(model), RunFolder(model.parent)):
        if run.validation.is_file():
            return _scorable(run.validation)
    run = RunFolder(model.parent)
    if run.out_of_fold.is_file() and run.plan.is_file() and "recipe" not in run.read_plan():
        return _scorable(run.out_of_fold)
    return None


def _scorable(path: Path) -> Predictions | None:
    said = Predictions.load(path).scorable()
    return said if len(said) else None
