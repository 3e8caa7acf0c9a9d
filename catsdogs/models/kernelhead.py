"""KernelLayer: the decision function of an RBF support vector machine as a network layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Model files rely on this number.
REACH = 3.0


class KernelLayer(nn.Module):
    """Turns features (B, D) into logits (B, C) by how near they are to S support vectors.

    A picture's features are centred, scaled and cut off at ``REACH`` scales, so that a picture
    unlike all others is still compared with them instead of being infinitely far from each. Nothing here
    trains: every tensor is a buffer. As built, the layer knows nothing and gives equal logits.

    Attributes:
        mean: Of the features (D,).
        scale: What they are divided by (D,), positive.
        support: Support vectors (S, D), scaled and cut off likewise.
        gamma: Of the kernel exp(-gamma ||x - s||²), ().
        coefficients: Weight of each support vector in each logit (C, S).
        bias: Of the logits (C,).
    """

    mean: Tensor
    scale: Tensor
    support: Tensor
    gamma: Tensor
    coefficients: Tensor
    bias: Tensor

    def __init__(self, features: int, vectors: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        self.register_buffer("support", torch.zeros(vectors, features))
        self.register_buffer("gamma", torch.tensor(1 / features))
        self.register_buffer("coefficients", torch.zeros(classes, vectors))
        self.register_buffer("bias", torch.zeros(classes))

    def forward(self, features: Tensor) -> Tensor:
        """Turn features (B, D) into logits (B, C)."""
        standard = ((features - self.mean) / self.scale).clamp(-REACH, REACH)
        squares = standard.square().sum(dim=1, keepdim=True) + self.support.square().sum(dim=1)
        # Rounding can bring the distance of two equal points below 0.
        distances = (squares - 2 * standard @ self.support.T).clamp(min=0)  # (B, S)
        return F.linear(torch.exp(-self.gamma * distances), self.coefficients, self.bias)
