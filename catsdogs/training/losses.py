"""What training minimises."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from catsdogs.training.recipe import Loss


def training_loss(logits: Tensor, labels: Tensor, loss: Loss) -> Tensor:
    """Return the mean loss () of logits (B, C) for classes int64 (B,), or for each class's share (B, C)."""
    return F.cross_entropy(logits, labels, label_smoothing=loss.label_smoothing)
