"""Solvers by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.optim import Optimizer

from catsdogs.training.recipe import Solver


def build_solver(solver: Solver, groups: Sequence[dict[str, Any]]) -> Optimizer:
    """Return the optimizer of these parameter groups, each with its own rate and weight decay."""
    del solver  # there is one so far
    return torch.optim.AdamW(list(groups), fused=True)
