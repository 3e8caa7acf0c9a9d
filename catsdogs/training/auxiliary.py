"""Auxiliary classifier: a second head on an earlier stage, whose loss helps the layers under it to learn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.cnn import CatsdogsCNN
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HeadSpec
from catsdogs.models.stages import pool
from catsdogs.training.losses import training_loss
from catsdogs.training.recipe import Loss

# Counted from the input: the third of four, where GoogLeNet's second one sits.
_STAGE = 2


class AuxiliaryClassifier(nn.Module):
    """Pooled maps of the third stage of ``catsdogs_cnn``, and a linear head on them.

    It belongs to the training, not to the classifier: it listens to the stage while that trains, its weights
    are in the checkpoint, and the model file knows nothing of it.

    Source: Szegedy et al. 2015, Going Deeper with Convolutions, section 5; Lee et al. 2015,
    Deeply-Supervised Nets.

    Args:
        classifier: Whose backbone is a ``catsdogs_cnn``.
        weight: Of its loss beside the classifier's.
        seed: Of its first weights.
    """

    def __init__(self, classifier: ImageClassifier, weight: float, *, seed: int) -> None:
        super().__init__()
        last = classifier.head[-1]
        assert isinstance(classifier.backbone, CatsdogsCNN)
        assert isinstance(last, nn.Linear)
        self.weight = weight
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.head = build_head(classifier.backbone.spec.widths[_STAGE], last.out_features, HeadSpec())
        self._maps: Tensor | None = None
        classifier.backbone.stages[_STAGE].register_forward_hook(self._listen)

    def _listen(self, _: nn.Module, __: object, maps: Tensor) -> None:
        if self.training and torch.is_grad_enabled():
            self._maps = maps

    def forward(self) -> Tensor:
        """Return the logits (B, C) of the batch that has just gone through the classifier."""
        assert self._maps is not None
        # Nothing of a step may stay behind: who copies the classifier between two steps would copy its graph.
        maps, self._maps = self._maps, None
        logits: Tensor = self.head(pool(maps))
        return logits

    def loss(self, labels: Tensor, loss: Loss, class_weights: Tensor | None = None) -> Tensor:
        """Return what it adds to the loss () of the batch that has just gone through the classifier."""
        return self.weight * training_loss(self(), labels, loss, class_weights)


def auxiliary_for(
    classifier: ImageClassifier, plan: Mapping[str, Any], *, seed: int
) -> AuxiliaryClassifier | None:
    """Return the auxiliary classifier that a run's ``plan.json`` asks for; None where it does not."""
    weight = plan.get("auxiliary", 0.0)
    return AuxiliaryClassifier(classifier, weight, seed=seed) if weight else None
