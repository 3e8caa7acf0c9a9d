"""Which engine runs a model on this machine: the one asked for, or the fastest by a trial that is kept."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from catsdogs.core.computation import TORCH
from catsdogs.core.errors import ConfigError, ModelError
from catsdogs.inference.engines.converted import (
    ENGINES,
    build,
    conversion_packages,
    converted_model,
    installed_engines,
    require_installed,
)
from catsdogs.inference.engines.engine import Engine, Pixels
from catsdogs.inference.engines.onnx_runtime import NAME as ONNX_RUNTIME
from catsdogs.inference.engines.onnx_runtime import refuse_bf16
from catsdogs.inference.engines.open_vino import NAME as OPENVINO
from catsdogs.models.choosing import choose, network_words, processor_flags
from catsdogs.models.modelcard import ModelCard

AUTO, COMPILE = "auto", "compile"
ENGINE_NAMES = (AUTO, TORCH, COMPILE, ONNX_RUNTIME, OPENVINO)
PRECISIONS = (AUTO, "fp32", "bf16")
# What auto means, where somebody has decided it for the whole machine or session.
VARIABLE = "CATSDOGS_ENGINE"
_TRIAL_PICTURES = 16
# NVIDIA's driver, in containers without /proc too; Jetson; WSL 2; AMD's driver.
_SIGNS_OF_A_GPU = (
    "/proc/driver/nvidia/gpus",
    "/dev/nvidiactl",
    "/dev/nvhost-gpu",
    "/dev/dxg",
    "/dev/kfd",
)
_BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


def open_engine(
    folder: Path,
    card: ModelCard,
    *,
    engine: str = AUTO,
    precision: str = AUTO,
    device: str = AUTO,
    threads: int | None = None,
    say: Callable[[str], None],
) -> Engine:
    """Return the engine that runs the model of a model folder.

    torch is loaded only where it computes, converts, or takes part in a trial.

    Args:
        folder: Of ``find_model``.
        card: Of that model.
        engine: Of ``ENGINE_NAMES``. ``auto`` is the fastest that is installed, never ``compile``, which
            pays for itself after many thousand pictures only.
        precision: Of ``PRECISIONS``.
        device: ``auto``, or torch's name of one; only torch computes elsewhere than on the processor.
        threads: Of a converted model; by default one a core.
        say: Is told what takes seconds.

    Raises:
        ConfigError: There is no such engine or precision here.
        ModelError: The model is damaged, or cannot be run in this way.
    """
    check_names(engine, precision)
    chosen = _named(engine, precision, device, card)
    if chosen == AUTO:
        chosen = _fastest(folder, card, precision, threads, say)
    name, _, own_precision = chosen.partition(" ")
    if name in (TORCH, COMPILE):
        return _torch_engine(folder, precision, device, compiled=name == COMPILE)
    model = converted_model(folder, name, say)
    try:
        return build(
            name,
            model.require(name),
            precision=own_precision or "fp32",
            threads=threads,
            bf16_shift=model.bf16_shift,
        )
    except ModelError:
        if engine != AUTO:
            raise
        say(f"this model cannot be converted for {name}; torch runs it")
        return _torch_engine(folder, precision, device)


def check_names(engine: str, precision: str) -> None:
    """Refuse what there is not.

    Raises:
        ConfigError: It is no engine or precision, or an engine that is not installed.
    """
    if engine not in ENGINE_NAMES:
        raise ConfigError(f"engine {engine!r} is not one of {', '.join(ENGINE_NAMES)}")
    if precision not in PRECISIONS:
        raise ConfigError(f"precision {precision!r} is not one of {', '.join(PRECISIONS)}")
    if engine in ENGINES:
        require_installed(engine)


def _named(engine: str, precision: str, device: str, card: ModelCard) -> str:
    """Return the candidate that is asked for, ``auto`` where a trial is needed."""
    if engine == AUTO:
        engine = os.environ.get(VARIABLE, AUTO)
        if engine not in ENGINE_NAMES:
            raise ConfigError(f"{VARIABLE}={engine!r} is not one of {', '.join(ENGINE_NAMES)}")
    if engine == AUTO:
        elsewhere = _has_accelerator() if device == AUTO else device != "cpu"
        return TORCH if elsewhere or not installed_engines() else AUTO
    if engine in (TORCH, COMPILE):
        return engine
    require_installed(engine)
    if device not in (AUTO, "cpu"):
        raise ConfigError(f"--engine {engine} computes on the processor only; {device} needs --engine torch")
    if engine == ONNX_RUNTIME:
        refuse_bf16(precision)
        return engine
    return f"{engine} {_openvino_precision(precision, card)}"


def _openvino_precision(precision: str, card: ModelCard) -> str:
    if not _bf16_is_safe(card):
        if precision == "bf16":
            what = "an ensemble" if card.members else "a head of support vectors"
            raise ConfigError(f"--engine openvino: {what} needs fp32; leave out bf16")
        return "fp32"
    if precision == "bf16" and not _has_bf16():
        raise ConfigError("--engine openvino: this processor does not compute in bf16")
    return "bf16" if precision == AUTO and _has_bf16() else precision.replace(AUTO, "fp32")


def auto_means(device: str) -> str:
    """Say in words what ``auto`` is on this machine, before any model is known.

    Args:
        device: The best that torch has here.
    """
    named = os.environ.get(VARIABLE, AUTO)
    if named not in ENGINE_NAMES:
        return f"nothing: {VARIABLE}={named!r} is not one of {', '.join(ENGINE_NAMES)}"
    if named != AUTO:
        return f"{named} ({VARIABLE})"
    if device != "cpu":
        return f"{TORCH}, on {device}"
    candidates = _candidates(AUTO, bf16=_has_bf16())
    if len(candidates) == 1:
        return f"{TORCH}: no other is installed (pip install 'catsdogs[fast]')"
    return f"the fastest of {', '.join(candidates)}, by a trial for each kind of model"


def _candidates(precision: str, *, bf16: bool) -> list[str]:
    """Return what a trial compares, the default first; ``bf16``: whether OpenVINO may compute in it."""
    candidates = [TORCH]
    if precision != "bf16":
        candidates += [f"{name} fp32" for name in installed_engines()]
    if precision != "fp32" and OPENVINO in installed_engines() and bf16:
        candidates.append(f"{OPENVINO} bf16")
    return candidates


def _fastest(
    folder: Path, card: ModelCard, precision: str, threads: int | None, say: Callable[[str], None]
) -> str:
    """Return the candidate that a trial, now or earlier, found fastest."""
    candidates = _candidates(precision, bf16=_has_bf16() and _bf16_is_safe(card))
    spec = card.preprocess

    def work(candidate: str) -> Callable[[], object] | None:
        name, _, own_precision = candidate.partition(" ")
        if name == TORCH:
            runner = _torch_engine(folder, precision, "cpu")
        else:
            model = converted_model(folder, name, say)
            if model.passing:
                raise _NotNowError
            try:
                runner = build(name, model.require(name), precision=own_precision, threads=threads)
            except ModelError:
                return None
        size = runner.batch_size
        batch = np.zeros((size, spec.height_px, spec.width_px, 3), dtype=np.uint8)
        return partial(_run_all, runner, [batch] * (_TRIAL_PICTURES // size))

    head = "" if _bf16_is_safe(card) else f" {card.head.kind}"
    networks = card.members or (card,)
    network = " + ".join(network_words(one.backbone, one.network, one.stages) for one in networks)
    key = f"engine {network}{head} {spec.height_px}x{spec.width_px} {precision}"
    try:
        return choose(key, candidates, work, packages=conversion_packages())
    except _NotNowError:
        return TORCH


class _NotNowError(Exception):
    """Ends a trial that must not be remembered: for lack of memory or disk there is nothing to compare."""


def _run_all(engine: Engine, batches: list[Pixels]) -> None:
    for _ in engine.stream(batches):
        pass


def _torch_engine(folder: Path, precision: str, device: str, *, compiled: bool = False) -> Engine:
    from catsdogs.inference.engines.eager import torch_engine

    return torch_engine(folder, precision=precision, device=device, compiled=compiled)


def _bf16_is_safe(card: ModelCard) -> bool:
    """Distances to support vectors are small differences of large numbers: bf16 loses them.

    What bf16 does to all pictures alike is taken from the logits; an ensemble's are no sum of its members'.
    """
    return card.head.kind != "rbf" and not card.members


def _has_bf16() -> bool:
    return bool(_BF16_FLAGS & processor_flags())


def _has_accelerator() -> bool:
    """Say whether torch computes on a GPU here; it is asked only where there is a sign of one."""
    if sys.platform == "darwin":
        sign = platform.machine() == "arm64"
    elif sys.platform == "win32":
        sign = Path(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "nvcuda.dll").exists()
    else:
        sign = any(Path(place).exists() for place in _SIGNS_OF_A_GPU)
    if not sign:
        return False
    from catsdogs.inference.engines.eager import computes_elsewhere

    return computes_elsewhere()
