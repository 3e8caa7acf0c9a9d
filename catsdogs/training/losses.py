"""What training minimises."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from catsdogs.training.recipe import Loss


def training_loss(logits: Tensor, labels: Tensor, loss: Loss, class_weights: Tensor | None = None) -> Tensor:
    """Return the mean loss () of a batch.

    Args:
        logits: (B, C).
        labels: Classes int64 (B,), or each class's share float (B, C).
        loss: Its label smoothing.
        class_weights: What an example of each class counts (C,); their mean over the batch does not matter.
    """
    smoothing = loss.label_smoothing
    if class_weights is None or labels.ndim == 1:
        return F.cross_entropy(logits, labels, weight=class_weights, label_smoothing=smoothing)
    # torch divides by the weights of classes, but of shares by the number of examples.
    total = F.cross_entropy(logits, labels, weight=class_weights, label_smoothing=smoothing, reduction="sum")
    return total / (labels @ class_weights).sum()
