"""Which backbones there are, what is known of them without running them, and whose weights are at hand.

The accuracies are timm's own measurements; ``imagenet.csv`` says where they come from.
"""

from __future__ import annotations

import contextlib
import csv
import fnmatch
import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import safetensors
from huggingface_hub import constants, try_to_load_from_cache

from catsdogs.core.errors import ModelError
from catsdogs.models.backbones import HUB, outline
from catsdogs.models.preprocessing import spec_from_metadata, timm_spec
from catsdogs.models.registry import architectures, nearest_names, pretrained_weights, tagged_names

# From a telephone's to a server's, of every family: a start, not a ranking.
SHORTLIST = (
    "mobilenetv2_100",
    "mobilenetv4_conv_small",
    "efficientnet_b0",
    "efficientvit_b1",
    "resnet18",
    "resnet50",
    "vit_small_patch16_224",
    "vit_small_patch14_dinov2",
    "swin_tiny_patch4_window7_224",
    "convnext_tiny",
    "convnext_small",
    "vit_base_patch16_clip_224",
)
_WEIGHT_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
_HUB_FILES = ("model.safetensors", "pytorch_model.bin")


@dataclass(frozen=True, slots=True)
class Entry:
    """One backbone, as it could be created.

    Attributes:
        name: The architecture, with the tag of its weights where one was asked for.
        weights: What ``create_backbone`` takes: a local file, ``hub`` where the hub's cache on this machine
            has them, or None where they are not at hand.
        top1: ImageNet-1k validation accuracy of timm's own weights in percent, or None where timm's table has
            none. A local file may hold others.
        license: Of timm's own weights, or None.
        downloadable: Whether timm has weights to fetch.
    """

    name: str
    weights: str | None
    top1: float | None
    license: str | None
    downloadable: bool


@dataclass(frozen=True, slots=True)
class Size:
    """How large a backbone is.

    Attributes:
        parameters: Of the backbone, without a classifier.
        input_px: Height of its input.
    """

    parameters: int
    input_px: int


def find_entries(pattern: str | None, files: dict[Path, str]) -> list[Entry]:
    """Return the backbones of a pattern, or the short list and those of the files.

    Args:
        pattern: Globs with ``|`` between them. One with a dot is matched against names with tags, any other
            against architectures, which stand for their default weights.
        files: Of ``identify_files``.

    Raises:
        ModelError: A glob matches nothing.
    """
    names = list(SHORTLIST) if pattern is None else _matching(pattern)
    entries = [
        _entry(name, str(path))
        for path, name in files.items()
        if pattern is None or {name, name.partition(".")[0]} & set(names)
    ]
    covered = {entry.name for entry in entries}
    return entries + [_entry(name, _cached(name)) for name in names if name not in covered]


def identify_files(paths: Sequence[str]) -> tuple[dict[Path, str], list[Path]]:
    """Say which backbone each weights file is of: by its metadata, else by its name.

    Args:
        paths: Files, and folders that are searched with all their subfolders.

    Returns:
        File -> backbone, and the files in folders that are of none.

    Raises:
        ModelError: A path is missing, a folder holds no weights, or a file that was named itself is of no
            known backbone.
    """
    known: dict[Path, str] = {}
    strange: list[Path] = []
    for given in map(Path, paths):
        for path in _weight_files(given):
            name = _backbone_of(path)
            if name is not None:
                known[path] = name
            elif given.is_dir():
                strange.append(path)
            else:
                raise ModelError(
                    f"{path}: neither its metadata ('architecture') nor its name says of which backbone it is"
                )
    return known, strange


def size(entry: Entry) -> Size:
    """Count a backbone's parameters without making any, and say what input it wants.

    Raises:
        ModelError: timm cannot make it, or the local file has damaged metadata.
    """
    backbone = outline(entry.name)
    spec = timm_spec(backbone)
    if entry.weights not in (None, HUB):
        spec = spec_from_metadata(spec, _metadata(Path(entry.weights)), entry.name, entry.weights)
    return Size(sum(parameter.numel() for parameter in backbone.parameters()), spec.height_px)


@contextlib.contextmanager
def without_network() -> Iterator[None]:
    """Let the hub's client use its own cache only."""
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _entry(name: str, weights: str | None) -> Entry:
    known = pretrained_weights(name)
    if known is None:
        return Entry(name, weights, None, None, downloadable=False)
    return Entry(name, weights, _imagenet_top1().get(known.name), known.license, downloadable=True)


def _matching(pattern: str) -> list[str]:
    names: dict[str, None] = {}
    for glob in filter(None, (part.strip() for part in pattern.split("|"))):
        found = fnmatch.filter(tagged_names() if "." in glob else architectures(), glob)
        if not found:
            near = nearest_names(re.sub(r"[*?\[\]!]", "", glob))
            hint = f"; the nearest are {', '.join(near)}" if near else ""
            raise ModelError(f"no backbone of timm matches {glob!r}{hint}")
        names |= dict.fromkeys(found)
    if not names:
        raise ModelError("the pattern is empty; give a glob such as 'resnet*|convnext_tiny'")
    return list(names)


@functools.cache
def _imagenet_top1() -> dict[str, float]:
    text = resources.files("catsdogs.models").joinpath("imagenet.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return {row["name"]: float(row["top1"]) for row in rows}


def _cached(name: str) -> str | None:
    """Say whether the hub's cache on this machine holds the weights; nothing is asked of the network."""
    known = pretrained_weights(name)
    if known is None or known.hub_id is None:
        return None
    held = (try_to_load_from_cache(known.hub_id, file) for file in _HUB_FILES)
    return HUB if any(isinstance(path, str) for path in held) else None


def _weight_files(given: Path) -> list[Path]:
    if given.is_file():
        return [given]
    if not given.is_dir():
        raise ModelError(f"{given}: no such weights file or folder")
    found = sorted(path for path in given.rglob("*") if path.suffix in _WEIGHT_SUFFIXES and path.is_file())
    if not found:
        raise ModelError(f"{given} holds no weights: none of its files ends in {', '.join(_WEIGHT_SUFFIXES)}")
    return found


def _backbone_of(path: Path) -> str | None:
    """Return the backbone that a file is of, with a tag where the file or its folder is called so."""
    stated = _metadata(path).get("architecture")
    for name in (path.stem, path.parent.name):
        if name in _names() and stated in (None, name.partition(".")[0]):
            return name
    if stated is not None:
        return stated if stated in _names() else None
    return _leading_architecture(path.stem)


def _leading_architecture(stem: str) -> str | None:
    """Return the longest architecture that a name such as ``resnet50_a1_0-14fe96d1`` begins with."""
    beginnings = (stem[: mark.start()] for mark in re.finditer(r"[-_.]", stem))
    return max((name for name in beginnings if name in _names()), key=len, default=None)


@functools.cache
def _names() -> frozenset[str]:
    return frozenset([*architectures(), *tagged_names()])


def _metadata(path: Path) -> dict[str, str]:
    """Return what a safetensors file says about itself; where it cannot be read, loading will tell."""
    if path.suffix != ".safetensors":
        return {}
    try:
        with safetensors.safe_open(path, framework="pt") as opened:
            return dict(opened.metadata() or {})
    except (OSError, safetensors.SafetensorError):
        return {}
