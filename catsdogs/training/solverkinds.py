"""What each solver takes where nothing else is said. No torch: the command line reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

SolverName = Literal[
    "sgd",
    "momentum",
    "nesterov",
    "rmsprop",
    "rprop",
    "adagrad",
    "adadelta",
    "adam",
    "adamw",
    "adamax",
    "nadam",
    "radam",
    "asgd",
    "lbfgs",
    "lamb",
    "lion",
]
_NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class SolverKind:
    """The defaults of one solver.

    Attributes:
        rate: Its learning rate is the strategy's, which is AdamW's, times this (measured: docs/LOG.md).
        weight_decay: Where it is decoupled or the step is the gradient itself, as strong a pull as AdamW's
            0.01: rate times decay is about the same. 0 where it would be rescaled with the gradient
            (Loshchilov & Hutter 2019, section 2). Of lbfgs it is a penalty in the loss. None: it has none.
        options: Which of momentum, betas and eps it takes, and the values of its paper.
    """

    rate: float
    weight_decay: float | None = 0.0
    options: Mapping[str, Any] = field(default_factory=lambda: _NONE)


_ADAM: Mapping[str, Any] = MappingProxyType({"betas": (0.9, 0.999), "eps": 1e-8})
_MOMENTUM: Mapping[str, Any] = MappingProxyType({"momentum": 0.9})

SOLVERS: Mapping[str, SolverKind] = MappingProxyType(
    {
        "sgd": SolverKind(30.0, 3e-4),
        "momentum": SolverKind(10.0, 1e-3, _MOMENTUM),
        "nesterov": SolverKind(10.0, 1e-3, _MOMENTUM),
        "rmsprop": SolverKind(1.0, 0.0, MappingProxyType({"momentum": 0.0, "eps": 1e-8})),
        "rprop": SolverKind(1.0, None),
        "adagrad": SolverKind(10.0, 0.0, MappingProxyType({"eps": 1e-10})),
        "adadelta": SolverKind(1000.0, 0.0, MappingProxyType({"eps": 1e-6})),
        "adam": SolverKind(1.0, 0.0, _ADAM),
        "adamw": SolverKind(1.0, 0.01, _ADAM),
        "adamax": SolverKind(3.0, 0.0, _ADAM),
        "nadam": SolverKind(1.0, 0.01, _ADAM),
        "radam": SolverKind(6.0, 0.002, _ADAM),
        "asgd": SolverKind(30.0, 3e-4),
        "lbfgs": SolverKind(1000.0, 0.03),
        "lamb": SolverKind(3.0, 0.01, MappingProxyType({"betas": (0.9, 0.999), "eps": 1e-6})),
        "lion": SolverKind(0.2, 0.05, MappingProxyType({"betas": (0.9, 0.99)})),
    }
)
