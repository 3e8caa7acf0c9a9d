"""Computation: what may be asked of anything that runs a network, whatever it is asked to compute."""

from __future__ import annotations

from typing import Protocol

TORCH = "torch"


class Computation(Protocol):
    """What engines and extractors have in common."""

    @property
    def name(self) -> str:
        """``torch``, ``compile``, ``onnxruntime`` or ``openvino``."""
        ...

    @property
    def precision(self) -> str:
        """``fp32`` or ``bf16``: what it computes in."""
        ...

    @property
    def batch_size(self) -> int:
        """How many pictures it computes at once; batches of this size waste nothing."""
        ...
