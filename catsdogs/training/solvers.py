"""Solvers by name: torch's own, and LAMB and Lion from timm."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch.optim import Optimizer

from catsdogs.training.recipe import Solver

# Rprop's step sizes stay between these times the rate of the moment.
_STEP_SIZES = (0.1, 10.0)
_STEPS_PER_EPOCH = 5


class ScheduledRprop(torch.optim.Rprop):
    """Rprop whose step sizes follow the schedule.

    torch's own looks at the learning rate once, at its first step, so that neither warm-up nor decay nor a
    layer group's own rate would change anything after it.
    """

    def step(self, closure: Any = None) -> Any:
        """Bound the step sizes by the rate, then take the step."""
        for group in self.param_groups:
            group["step_sizes"] = tuple(share * float(group["lr"]) for share in _STEP_SIZES)
        return super().step(closure)


def _lamb(groups: Sequence[dict[str, Any]], **options: Any) -> Optimizer:
    """LAMB scales each tensor's step by its norm, whether it decays or not; norms and biases are left out."""
    from timm.optim.lamb import Lamb

    return Lamb([{**group, "always_adapt": _is_weight(group)} for group in groups], **options)


def _is_weight(group: Mapping[str, Any]) -> bool:
    return any(parameter.ndim > 1 for parameter in group["params"])


def _lion(groups: Sequence[dict[str, Any]], **options: Any) -> Optimizer:
    from timm.optim.lion import Lion

    return Lion(list(groups), **options)


def _lbfgs(groups: Sequence[dict[str, Any]]) -> Optimizer:
    """L-BFGS knows one group; all that trains is the head, and its decay is a penalty in the loss."""
    parameters = [parameter for group in groups for parameter in group["params"]]
    return torch.optim.LBFGS(
        [{**groups[-1], "params": parameters}], max_iter=_STEPS_PER_EPOCH, line_search_fn="strong_wolfe"
    )


_BUILDERS: Mapping[str, Callable[..., Optimizer]] = {
    "sgd": torch.optim.SGD,
    "momentum": torch.optim.SGD,
    "nesterov": partial(torch.optim.SGD, nesterov=True),
    "rmsprop": torch.optim.RMSprop,
    "rprop": ScheduledRprop,
    "adagrad": torch.optim.Adagrad,
    "adadelta": torch.optim.Adadelta,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "adamax": torch.optim.Adamax,
    "nadam": partial(torch.optim.NAdam, decoupled_weight_decay=True),
    "radam": partial(torch.optim.RAdam, decoupled_weight_decay=True),
    # Its own decay (lambd) would pull norms and biases to zero and lower the rate beside the schedule. What
    # is left is SGD; the average that gives it its name is training.averaging's, which validation sees.
    "asgd": partial(torch.optim.ASGD, lambd=0.0, t0=float("inf")),
    "lbfgs": _lbfgs,
    "lamb": _lamb,
    "lion": _lion,
}
# Those whose whole step torch has in one kernel, for the processor too; the others step tensor lists on GPUs.
_FUSED = frozenset({"sgd", "momentum", "nesterov", "adam", "adamw"})


def build_solver(solver: Solver, groups: Sequence[dict[str, Any]], *, fused: bool = True) -> Optimizer:
    """Return the optimizer of these parameter groups, each with its own rate and weight decay.

    Args:
        solver: Which, and its options.
        groups: As ``training.optimizers`` makes them.
        fused: Whether a fused kernel may be used. Lightning clips no gradients in mixed precision with one.
    """
    options = solver.options | ({"fused": True} if fused and solver.name in _FUSED else {})
    return _BUILDERS[solver.name](groups, **options)


def set_momentum(optimizer: Optimizer, momentum: float) -> None:
    """Give every group this momentum, or first beta; a solver that has neither stays as it is."""
    for group in optimizer.param_groups:
        if "betas" in group:
            group["betas"] = (momentum, *group["betas"][1:])
        elif group.get("momentum"):
            group["momentum"] = momentum
