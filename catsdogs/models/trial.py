"""Speed settings from a short trial instead of a guess: time the real work for a moment, keep the answer.

The first candidate is the default and stays unless another is clearly faster, so that two runs on one machine
agree; the answer is kept in the cache folder, so that they agree exactly.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from catsdogs.core.cachefolder import cache_folder
from catsdogs.core.errors import OutputError
from catsdogs.core.files import write_json
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.execution import Execution, Runner, best_device

_CLEARLY_FASTER = 1.1
_ROUNDS = 3


def has_bf16(device: str) -> bool:
    """Say whether the device computes in bfloat16 rather than emulating it."""
    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device != "cpu" or "avx512_bf16" not in processor_flags():
        return False
    # torch has no public question for this; mkldnn answers for the instruction sets that matter.
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def processor_flags() -> frozenset[str]:
    """Return the processor's feature names where the system tells them (Linux), else none."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as stream:  # noqa: PTH123
            lines = [line for line in stream if line.startswith(("flags", "Features"))]
    except OSError:
        return frozenset()
    return frozenset(lines[0].partition(":")[2].split()) if lines else frozenset()


def fastest_execution(
    classifier: ImageClassifier,
    spec: PreprocessSpec,
    backbone: str,
    *,
    precision: str = "auto",
    device: str = "auto",
) -> Execution:
    """Return how to run ``classifier`` on this machine; what is not ``auto`` is taken as given."""
    device = best_device() if device == "auto" else device
    default = Execution(device=device, precision="fp32" if precision == "auto" else precision)
    if precision != "auto" or not has_bf16(device):
        return default
    candidates = {"fp32": default, "bf16": replace(default, precision="bf16")}
    pixels = np.zeros((default.batch_size, spec.height_px, spec.width_px, 3), dtype=np.uint8)

    def work(name: str) -> Callable[[], Any]:
        runner = Runner(classifier, candidates[name])
        return lambda: runner.features(pixels)

    key = f"forward {backbone} {spec.height_px}x{spec.width_px} {device.partition(':')[0]}"
    return candidates[choose(key, list(candidates), work)]


def choose(key: str, names: Sequence[str], work: Callable[[str], Callable[[], Any]]) -> str:
    """Return the name whose work is clearly fastest, the first one unless another beats it by 10 %.

    Args:
        key: What is tried; the machine and the versions are added to it.
        names: The candidates, the default first.
        work: Makes a candidate's work ready and returns it, to be called several times.
    """
    path = cache_folder() / "trials.json"
    full_key = f"{key} | {_machine()}"
    known = _read(path)
    if known.get(full_key) in names:
        return str(known[full_key])
    seconds = time_in_turns({name: work(name) for name in names})
    best = min(names, key=lambda name: seconds[name])
    chosen = best if seconds[best] * _CLEARLY_FASTER < seconds[names[0]] else names[0]
    with contextlib.suppress(OutputError):  # a cache that cannot be written costs a second a run, no more
        write_json(path, {**_read(path), full_key: chosen})
    return chosen


def time_in_turns(works: Mapping[str, Callable[[], Any]]) -> dict[str, float]:
    """Return medians of runs taken in turns, so that a machine whose speed drifts is fair to each."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work()
    for _ in range(_ROUNDS):
        for name, work in works.items():
            started = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(times) for name, times in seconds.items()}


def _read(path: Any) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _machine() -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()
    return f"torch {torch.__version__}, {name}, {cores} cores, {_flags_digest()}"


def _flags_digest() -> str:
    """Name the processor's features shortly: a home folder that moves to another machine is tried again."""
    return hashlib.sha256(" ".join(sorted(processor_flags())).encode()).hexdigest()[:8]
