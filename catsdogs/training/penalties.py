"""Penalties on the weights that train, added to the loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from catsdogs.models.classifier import ImageClassifier
from catsdogs.training.recipe import Loss


class Penalty(nn.Module):
    """``l1 * sum |w| + l2 / 2 * sum w**2 + l2_sp / 2 * sum (w - start)**2`` over all weights w that train.

    Weights are tensors of two dimensions or more: norms and biases are left out. ``start`` is what the
    backbone's weights are when this object is made; the head has none (Li et al. 2018, Explicit Inductive
    Bias for Transfer Learning, equation 3).

    Args:
        classifier: Whose weights.
        loss: How much of each.
        decay: More ``l2``, for a solver that searches the loss itself and cannot decay beside it.
    """

    def __init__(self, classifier: ImageClassifier, loss: Loss, *, decay: float = 0.0) -> None:
        super().__init__()
        self._loss, self._l2 = loss, loss.l2 + decay
        # In a list of its own: a parameter that two modules register is in the checkpoint twice.
        self._weights = [parameter for parameter in classifier.parameters() if parameter.ndim > 1]
        backbone = [parameter for parameter in classifier.backbone.parameters() if parameter.ndim > 1]
        self._started = [
            (f"start_{number}", weight) for number, weight in enumerate(backbone if loss.l2_sp else [])
        ]
        for name, weight in self._started:
            self.register_buffer(name, weight.detach().clone(), persistent=False)

    def forward(self) -> Tensor | float:
        """Return the penalty (); 0.0 where there is none."""
        weights = [weight for weight in self._weights if weight.requires_grad]
        total: Tensor | float = 0.0
        if self._loss.l1:
            total = total + self._loss.l1 * _sum([weight.abs().sum() for weight in weights])
        if self._l2:
            total = total + self._l2 / 2 * _sum([weight.square().sum() for weight in weights])
        moved = [weight - self.get_buffer(name) for name, weight in self._started if weight.requires_grad]
        if moved:
            total = total + self._loss.l2_sp / 2 * _sum([distance.square().sum() for distance in moved])
        return total


def _sum(parts: list[Tensor]) -> Tensor:
    return torch.stack(parts).sum()
