"""Doctor: what was found on this machine, and what every ``auto`` becomes on it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from pathlib import Path

import torch

from catsdogs import __version__
from catsdogs.core.cachefolder import cache_folder
from catsdogs.inference.engines.choice import auto_means
from catsdogs.inference.engines.converted import ENGINES, installed_engines
from catsdogs.models.backbones import create_backbone, feature_width
from catsdogs.models.choosing import available_cores, installed_version, processor_flags
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.execution import best_device
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HeadSpec
from catsdogs.models.trial import fastest_execution, has_bf16
from catsdogs.reporting.console import say, table
from catsdogs.training.trial import fastest_training
from catsdogs.workflows.sections import USUAL_BACKBONE, TransferSettings
from catsdogs.workflows.workers import decoding_workers

_PACKAGES = ("lightning", "torch", "torchvision", "timm", "torchmetrics", "pillow", "scikit-learn", "numpy")
_TELLING_FLAGS = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_tile", "asimd", "bf16")


def examine(*, allocator_tuned: bool) -> None:
    """Print the machine, the versions and what ``auto`` settings become."""
    table("Machine", ("", ""), _machine(allocator_tuned))
    table("Versions", ("", ""), _versions())
    say("timing the default network for a moment ...")
    table("What auto becomes here", ("setting", "value"), _automatic())


def _machine(allocator_tuned: bool) -> list[tuple[str, str]]:
    flags = processor_flags()
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return [
        ("system", platform.platform()),
        ("processor", f"{platform.machine()}, {available_cores()} cores for this process"),
        ("processor features", ", ".join(flag for flag in _TELLING_FLAGS if flag in flags) or "not told"),
        ("memory", _memory()),
        ("GPUs", ", ".join(gpus) or ("Apple GPU" if best_device() == "mps" else "none")),
        ("free disk here", f"{shutil.disk_usage(Path.cwd()).free / 2**30:.0f} GiB"),
        ("C allocator", "tuned (glibc)" if allocator_tuned else "left as it is"),
        ("caches", str(cache_folder())),
    ]


def _memory() -> str:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return "not told"
    return f"{total / 2**30:.0f} GiB"


def _versions() -> list[tuple[str, str]]:
    found = [("catsdogs", __version__), ("python", platform.python_version())]
    found += [(name, importlib.metadata.version(name)) for name in _PACKAGES]
    there = installed_engines()
    return found + [(name, installed_version(name) if name in there else "not installed") for name in ENGINES]


def _automatic() -> list[tuple[str, str]]:
    transfer = TransferSettings()
    backbone, spec = create_backbone(USUAL_BACKBONE, framing="square")
    classifier = ImageClassifier(backbone, build_head(feature_width(backbone), 2, HeadSpec()), spec)
    execution = fastest_execution(classifier, spec, USUAL_BACKBONE)
    speed = fastest_training(
        classifier,
        spec,
        USUAL_BACKBONE,
        trainable=[name for name, _ in backbone.named_parameters()],
        batch_size=transfer.pictures_per_step,
        device=execution.device,
    )
    layout = "channels last" if speed.channels_last else "plane by plane"
    return [
        ("device", execution.device),
        ("computes in bfloat16", "yes" if has_bf16(execution.device) else "no"),
        ("--engine auto", auto_means(execution.device)),
        (f"prediction precision ({USUAL_BACKBONE})", execution.precision),
        (f"training precision ({USUAL_BACKBONE})", f"{speed.precision}, {layout}"),
        ("decoding workers", str(decoding_workers())),
    ]
