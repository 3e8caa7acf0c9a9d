"""Throughput: how fast an epoch went, how long it waited for pictures, and how much memory it took."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback

# Where pictures are decoded on the processor that the network needs too, some waiting is the work itself.
_MOST_WAITING = {"cpu": 0.5, "other": 0.25}
# Less is not worth a word: the workers of a short epoch take that long to start.
_LEAST_WAITED_S = 10.0
_MIB = 2**20


class Throughput(Callback):
    """Logs pictures per second, share of the time spent waiting for data, and peak memory of every epoch.

    The loop waits from the end of one step to the start of the next; validation is left out. Memory is the
    most that the process has held so far; over several processes the greatest counts, and pictures add up.
    It must be the first callback, so that the others' work is not taken for waiting.

    Args:
        workers: Processes that decode pictures.
        cores: That this process may use.
        say: Tells people once, where data holds the network back.
    """

    def __init__(self, *, workers: int, cores: int, say: Callable[[str], None]) -> None:
        self._workers, self._cores, self._say = workers, cores, say
        self._said = False
        self._started_s = self._left_s = self._waited_s = self._validated_s = 0.0
        self._pictures = 0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._started_s = self._left_s = time.monotonic()
        self._waited_s, self._validated_s, self._pictures = 0.0, 0.0, 0

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """The batch is there."""
        self._waited_s += time.monotonic() - self._left_s
        self._pictures += len(batch[1])

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """The next one is asked for."""
        self._left_s = time.monotonic()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave validation out, also where it comes in the middle of an epoch."""
        now = time.monotonic()
        self._validated_s += now - self._left_s
        self._left_s = now

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the epoch, and say what holds it back."""
        seconds = max(self._left_s - self._started_s - self._validated_s, 1e-9)
        share = self._waited_s / seconds
        pl_module.log("pictures_per_s", self._pictures / seconds, sync_dist=True, reduce_fx="sum")
        pl_module.log("waiting_share", share, sync_dist=True)
        for name, peak in peak_memory_mib(pl_module.device).items():
            pl_module.log(name, peak, sync_dist=True, reduce_fx="max")
        kind = "cpu" if pl_module.device.type == "cpu" else "other"
        if share > _MOST_WAITING[kind] and self._waited_s > _LEAST_WAITED_S and not self._said:
            self._said = True
            self._say(self._sentence(trainer.current_epoch + 1, share))

    def _sentence(self, epoch: int, share: float) -> str:
        if self._workers < self._cores:
            remedy = f"raise --data.workers, {self._workers} now, up to the {self._cores} cores here"
        else:
            remedy = "copies of the pictures a little larger than the network's input are decoded faster"
        return (
            f"warning: the network waited for pictures {share:.0%} of epoch {epoch} "
            f"({self._waited_s:.0f} s): {remedy}"
        )


def peak_memory_mib(device: torch.device) -> dict[str, float]:
    """Return the most memory that this process has held, and on a GPU, where the system tells."""
    peaks = {}
    if sys.platform != "win32":
        import resource

        # Linux counts KiB, macOS bytes.
        unit = 1 if sys.platform == "darwin" else 1024
        peaks["peak_memory_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / _MIB
    if device.type == "cuda":
        peaks["peak_gpu_memory_mib"] = torch.cuda.max_memory_allocated(device) / _MIB
    return peaks
