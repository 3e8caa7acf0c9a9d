"""Parameter groups, and schedules as pure functions from a step to a factor."""

from __future__ import annotations

import math
from typing import Any

from torch import nn


def parameter_groups(
    classifier: nn.Module, *, weight_decay: float, learning_rate: float, head_rate: float
) -> list[dict[str, Any]]:
    """Return backbone and head, each with and without weight decay; every trainable tensor once.

    Biases and the scales of normalisation layers (tensors of one dimension) do not decay: pulling them to
    zero regularises nothing (He et al. 2019, Bag of Tricks, section 3.1).
    """
    groups = []
    for part, rate in (("backbone", learning_rate), ("head", learning_rate * head_rate)):
        named = [(n, p) for n, p in classifier.named_parameters() if n.startswith(part) and p.requires_grad]
        for decay, chosen in (
            (weight_decay, [p for _, p in named if p.ndim > 1]),
            (0.0, [p for _, p in named if p.ndim <= 1]),
        ):
            if chosen:
                groups.append({"params": chosen, "weight_decay": decay, "lr": rate, "name": part})
    return groups


def warmup_cosine(step: int, *, total_steps: int, warmup_steps: int) -> float:
    """Return the factor on the learning rate: linear from 0 to 1, then half a cosine down to 0.

    Args:
        step: From 0; the first step already has a positive rate.
        total_steps: Of the whole run.
        warmup_steps: Of the linear part.

    Source: Loshchilov & Hutter 2017, SGDR, equation 5 (one cycle); Goyal et al. 2017, section 2.2 (warm-up).
    """
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    done = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
