"""How a classifier is run on this machine: by a short trial instead of a guess."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.models.choosing import choose, network_words, processor_flags
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.cnn import CatsdogsCNN
from catsdogs.models.execution import Execution, Runner, best_device


def has_bf16(device: str) -> bool:
    """Say whether the device computes in bfloat16 rather than emulating it."""
    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device != "cpu" or "avx512_bf16" not in processor_flags():
        return False
    # torch has no public question for this; mkldnn answers for the instruction sets that matter.
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def device_name(device: str) -> str:
    """Return what a trial on this device is remembered by: a GPU's own name, else ``cpu`` or ``mps``."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device.partition(":")[0]


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

    network = classifier.backbone.spec if isinstance(classifier.backbone, CatsdogsCNN) else None
    key = (
        f"forward {network_words(backbone, network, classifier.stages)} "
        f"{spec.height_px}x{spec.width_px} {device_name(device)}"
    )
    return candidates[choose(key, list(candidates), work)]
