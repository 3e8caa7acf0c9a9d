"""Randomness that is a function of numbers such as (seed, epoch, index), whatever was drawn before."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import torch


@contextlib.contextmanager
def drawing_from(*numbers: int) -> Iterator[None]:
    """Let torch's random numbers on the CPU follow from these numbers; its own state comes back afterwards.

    Trailing zeros do not count: end with another number where (1, 2) and (1, 2, 0) must differ.
    """
    state = np.random.SeedSequence(numbers).generate_state(1, np.uint64)
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: that would seed the accelerators too, whose dropout is none of our business.
        torch.default_generator.manual_seed(int(state[0] >> 1))
        yield
