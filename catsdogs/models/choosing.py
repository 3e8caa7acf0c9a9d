"""Speed settings from a short trial instead of a guess: time the real work for a moment, keep the answer.

The first candidate is the default and stays unless another is clearly faster, so that two runs on one machine
agree; the answer is kept in the cache folder, so that they agree exactly. An answer that is known already is
found without torch.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from catsdogs.core.cachefolder import cache_folder
from catsdogs.core.errors import OutputError
from catsdogs.core.files import write_json
from catsdogs.models.networkspec import NetworkSpec

_CLEARLY_FASTER = 1.1
_ROUNDS = 3


def processor_flags() -> frozenset[str]:
    """Return the processor's feature names where the system tells them (Linux), else none."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as stream:  # noqa: PTH123
            lines = [line for line in stream if line.startswith(("flags", "Features"))]
    except OSError:
        return frozenset()
    return frozenset(lines[0].partition(":")[2].split()) if lines else frozenset()


def available_cores() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def choose(
    key: str,
    names: Sequence[str],
    work: Callable[[str], Callable[[], Any] | None],
    *,
    packages: Sequence[str] = ("torch",),
) -> str:
    """Return the name whose work is clearly fastest, the first one unless another beats it by 10 %.

    Args:
        key: What is tried, and on which device where it is not the processor; the machine is added to it.
        names: The candidates, the default first.
        work: Makes a candidate's work ready and returns it, to be called several times; None where it
            cannot be done here. The first candidate's always can.
        packages: Installed packages whose other version may be faster or slower.
    """
    if len(names) == 1:
        return names[0]
    path = cache_folder() / "trials.json"
    full_key = f"{key} | {_machine(packages)}"
    known = _read(path)
    if known.get(full_key) in names:
        return str(known[full_key])
    works = {name: one for name in names if (one := work(name)) is not None}
    chosen = names[0]
    if len(works) > 1:
        seconds = time_in_turns(works)
        best = min(seconds, key=lambda name: seconds[name])
        chosen = best if seconds[best] * _CLEARLY_FASTER < seconds[chosen] else chosen
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


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def network_words(backbone: str, network: NetworkSpec | None, stages: Sequence[str]) -> str:
    """Name what is computed, for the key of a trial: the same backbone may be of another width or cut.

    >>> network_words("resnet18", None, ("layer2", "layer3"))
    'resnet18 stages layer2+layer3'
    """
    made_of = "" if network is None else f" {sorted(network.to_dict().items())}"
    return f"{backbone}{made_of} stages {'+'.join(stages)}"


def installed_version(package: str) -> str:
    """Return a package's version; ``unknown`` where it came under another name (onnxruntime-gpu)."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _machine(packages: Sequence[str]) -> str:
    versions = ", ".join(f"{name} {installed_version(name)}" for name in packages)
    return f"{versions}, {platform.machine()}, {available_cores()} cores, {flags_digest()}"


def flags_digest() -> str:
    """Name the processor's features shortly: a home folder that moves to another machine is tried again."""
    return hashlib.sha256(" ".join(sorted(processor_flags())).encode()).hexdigest()[:8]
