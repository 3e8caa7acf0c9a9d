"""How a network wants its pictures: timm's configuration, overridden by what a weights file says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from timm.data.config import resolve_model_data_config
from torch import nn

from catsdogs.core.errors import ModelError
from catsdogs.core.preprocess import CROP_MODES, PreprocessSpec

# Networks halve a picture up to five times.
_STEP_PX = 32


def timm_spec(backbone: nn.Module) -> PreprocessSpec:
    """Return the preprocessing that timm's own configuration gives for this network."""
    config = resolve_model_data_config(backbone)  # type: ignore[no-untyped-call]
    _, height, width = config["input_size"]
    crop_mode = config["crop_mode"] if config["crop_mode"] in CROP_MODES else "center"
    return PreprocessSpec(
        height_px=height,
        width_px=width,
        crop_fraction=config["crop_pct"],
        crop_mode=crop_mode,
        interpolation=config["interpolation"] if config["interpolation"] != "random" else "bilinear",
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )


def spec_from_metadata(
    spec: PreprocessSpec, metadata: Mapping[str, str], name: str, source: str
) -> PreprocessSpec:
    """Override ``spec`` with what a safetensors file says about its own preprocessing.

    Raises:
        ModelError: The file names another architecture, or a value makes no sense.
    """
    architecture = metadata.get("architecture")
    if architecture and architecture != name.partition(".")[0]:
        raise ModelError(f"{source} holds weights of {architecture}, not of {name}")
    changes: dict[str, Any] = {}
    try:
        if "input_size" in metadata:
            _, changes["height_px"], changes["width_px"] = map(int, metadata["input_size"].split(","))
        if "crop_pct" in metadata:
            changes["crop_fraction"] = float(metadata["crop_pct"])
        for key in ("mean", "std"):
            if key in metadata:
                changes[key] = tuple(map(float, metadata[key].split(",")))
    except ValueError as error:
        raise ModelError(f"{source} has damaged metadata: {error}") from error
    changes |= {key: metadata[key] for key in ("interpolation", "crop_mode") if key in metadata}
    try:
        return replace(spec, **changes)
    except ModelError as error:
        raise ModelError(f"{source} has damaged metadata: {error}") from error


def largest_square(spec: PreprocessSpec, backbone: nn.Module) -> PreprocessSpec:
    """Return how a network sees the largest square of pictures, at the scale that its weights know.

    Nothing is cut off the short side. The input is about as large as the authors resized pictures to before
    they cropped them, or has the larger size at which they tested the network where timm knows one. Networks
    that take one size only keep their crop, and those that squeeze pictures keep everything.

    Args:
        spec: As the weights want their pictures.
        backbone: Made by timm.

    Source: measured (docs/adr/0017); that networks do better on larger pictures than they learned from is
    Touvron et al. 2019, Fixing the train-test resolution discrepancy.
    """
    config: Mapping[str, Any] = backbone.pretrained_cfg  # type: ignore[assignment]
    if spec.crop_mode == "squash" or config.get("fixed_input_size"):
        return spec
    _, *tested = config.get("test_input_size") or (3, 0, 0)
    height = max(_rounded(spec.resized_height_px), tested[0])
    width = max(_rounded(spec.resized_width_px), tested[1])
    return replace(spec, height_px=height, width_px=width, crop_fraction=1.0)


def _rounded(side_px: int) -> int:
    return max(round(side_px / _STEP_PX), 1) * _STEP_PX
