"""What training minimises."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from catsdogs.training.recipe import Loss


def training_loss(logits: Tensor, labels: Tensor, loss: Loss, class_weights: Tensor | None = None) -> Tensor:
    """Return the mean loss () of logits (B, C) for classes (B,), weighted by ``class_weights`` (C,)."""
    return F.cross_entropy(logits, labels, weight=class_weights, label_smoothing=loss.label_smoothing)
