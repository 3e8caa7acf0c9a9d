"""Batch-size finder: the most pictures that a GPU holds, or the number that a processor is fastest with.

Lightning's own finder trains through the Trainer from a checkpoint on disk, and only knows when memory is
gone; a processor has no such end, it begins to swap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.utilities.memory import garbage_collection_cuda, is_oom_error
from torch import Tensor

from catsdogs.models.choosing import time_in_turns

# With fewer steps an epoch, warm-up and schedule have nothing to go along; gains end far below anyway
# (McCandlish et al. 2018, An Empirical Model of Large-Batch Training).
_FEWEST_STEPS = 8
_SIZES_CPU = (8, 16, 32, 64, 128)
_CLEARLY_FASTER = 1.1
_MEMORY_SHARE = 0.5


@dataclass(frozen=True)
class BatchSearch:
    """Which batch size was found, and why.

    Attributes:
        found: Pictures per step.
        reason: In words.
        ms_per_picture: Of the sizes that were timed.
    """

    found: int
    reason: str
    ms_per_picture: dict[int, float]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def most_pictures(pictures: int, usual: int) -> int:
    """Return the largest batch worth trying for so many training pictures."""
    return max(usual, pictures // _FEWEST_STEPS)


def largest_batch(step_of: Callable[[int], Callable[[], None]], usual: int, most: int) -> BatchSearch:
    """Double the batch until the device's memory is full; half of what failed is taken.

    Args:
        step_of: Makes a training step of so many pictures, or fails for want of memory.
        usual: Where to begin; halved if even that does not fit.
        most: Not to be exceeded.

    Raises:
        RuntimeError: A single picture does not fit, or something else is wrong.
    """
    size = usual
    while not _fits(step_of, size):
        size //= 2
    if size < usual:
        return BatchSearch(size, f"{2 * size} do not fit into the GPU's memory", {})
    while 2 * size <= most:
        if not _fits(step_of, 2 * size):
            return BatchSearch(size, f"{2 * size} do not fit into the GPU's memory", {})
        size *= 2
    return BatchSearch(size, f"more would leave fewer than {_FEWEST_STEPS} steps an epoch", {})


def _fits(step_of: Callable[[int], Callable[[], None]], size: int) -> bool:
    try:
        step = step_of(size)
        step()
        step()  # the first had no moments of the optimizer yet
        return True
    except RuntimeError as error:
        if size == 1 or not is_oom_error(error):
            raise
    # Only here is the error gone, and with it what its traceback held.
    garbage_collection_cuda()
    return False


def fastest_batch(step_of: Callable[[int], Callable[[], None]], usual: int, most: int) -> BatchSearch:
    """Time powers of two; the usual one stays unless another is a tenth faster per picture.

    Args:
        step_of: Makes a training step of so many pictures.
        usual: The default.
        most: Not to be exceeded.
    """
    sizes = [size for size in _SIZES_CPU if size <= most] or [min(usual, most)]
    seconds = time_in_turns({str(size): step_of(size) for size in sizes})
    times = {size: 1000 * seconds[str(size)] / size for size in sizes}
    default = min(sizes, key=lambda size: abs(size - usual))
    best = min(sizes, key=lambda size: times[size])
    clearly = times[best] * _CLEARLY_FASTER < times[default]
    if clearly:
        return BatchSearch(best, f"a tenth faster per picture than {default}, or more", times)
    return BatchSearch(default, "no other number is a tenth faster per picture", times)


def pictures_in_memory(step_of: Callable[[int], Callable[[], None]], available_bytes: int) -> int:
    """Return how many pictures' activations fit into half of the memory that is free."""
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    few = 4
    step = step_of(few)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        step()
    return max(1, int(_MEMORY_SHARE * available_bytes * few / max(1, sum(kept.values()))))


def available_memory(meminfo: Path = Path("/proc/meminfo")) -> int | None:
    """Return the bytes that programs may still take; None where the system does not tell (not Linux)."""
    try:
        lines: Sequence[str] = meminfo.read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError, IndexError):
        return None
