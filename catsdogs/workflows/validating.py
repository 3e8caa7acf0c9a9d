"""What weights are worth: their answers to labelled pictures, without a run of their own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from catsdogs.core.predictions import Predictions
from catsdogs.core.records import ImageRecord
from catsdogs.core.temperature import fit_temperature, log_loss
from catsdogs.data.layouts import labels_of
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.modelcard import ModelCard
from catsdogs.models.modelfile import save_model
from catsdogs.workflows.applying import apply
from catsdogs.workflows.applyoptions import WITHIN_A_RUN

# What is chosen should not hang on which precision happened to be the fastest.
_EXACT = replace(WITHIN_A_RUN, precision="fp32")


class Validation:
    """Judges weights of one network by their answers to labelled pictures, at their best temperature.

    Args:
        classifier: The network; the weights that are judged are written into it.
        card: Of it; its temperature has no part in this.
        records: The pictures.
        advance: Called with how many pictures have been answered.
    """

    def __init__(
        self,
        classifier: ImageClassifier,
        card: ModelCard,
        records: Sequence[ImageRecord],
        advance: Callable[[int], None],
    ) -> None:
        self._classifier, self._card = classifier, replace(card, temperature=1.0)
        self._records, self._advance = records, advance

    def __call__(self, tensors: Mapping[str, Tensor]) -> float:
        """Return their calibrated log loss."""
        said, _ = self.calibrated(tensors)
        return log_loss(said.logits, said.labels)

    def calibrated(self, tensors: Mapping[str, Tensor]) -> tuple[Predictions, float]:
        """Return calibrated answers to the readable pictures, and the temperature that calibrates them."""
        self._classifier.load_state_dict(tensors)
        with tempfile.TemporaryDirectory() as folder:
            save_model(Path(folder), self._classifier, self._card)
            applied = apply(Path(folder), self._records, _EXACT, advance=self._advance)
        assert applied is not None
        labels = labels_of(self._records, self._card.class_names)
        said = applied.predictions.with_labels(labels).scorable()
        temperature = fit_temperature(said.logits, said.labels)
        return replace(said, logits=said.logits / temperature), temperature
