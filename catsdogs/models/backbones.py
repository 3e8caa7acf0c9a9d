"""The only door to timm: create a backbone, load its weights strictly, and say how it wants its pictures.

A backbone here is a timm network without its classifier: float (B, 3, H, W) in, features (B, D) out.
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import timm
import torch
from timm.data.config import resolve_model_data_config
from torch import Tensor, nn

from catsdogs.core.errors import ModelError
from catsdogs.core.preprocess import CROP_MODES, PreprocessSpec
from catsdogs.models.cnn import CatsdogsCNN
from catsdogs.models.hub import brief_hub
from catsdogs.models.networkspec import CNN, NetworkSpec
from catsdogs.models.weightsfile import first_line, read_weights

HUB, RANDOM = "hub", "none"
_SHOWN_KEYS = 3


# Where timm looks for what its registry says of a network that this module defines.
default_cfgs = timm.models.generate_default_cfgs(
    {
        CNN: {
            "input_size": (3, 96, 96),
            "min_input_size": (3, 32, 32),
            "pool_size": (6, 6),
            "interpolation": "bilinear",
            "crop_pct": 0.95,
            "first_conv": "stem.0.conv",
            "classifier": "fc",
        }
    }
)


@timm.models.register_model
def catsdogs_cnn(pretrained: bool = False, **options: Any) -> nn.Module:
    """Return what ``timm.create_model("catsdogs_cnn")`` does; the options are those of a ``NetworkSpec``."""
    network: nn.Module = timm.models.build_model_with_cfg(
        CatsdogsCNN, CNN, pretrained, feature_cfg={"feature_cls": "getter"}, **options
    )
    return network


def create_backbone(
    name: str,
    weights: str = RANDOM,
    *,
    input_size: int | None = None,
    stochastic_depth: float = 0.0,
    network: NetworkSpec | None = None,
) -> tuple[nn.Module, PreprocessSpec]:
    """Build a timm backbone without its classifier and say how it wants its pictures.

    Args:
        name: A timm architecture, with or without a pretrained tag.
        weights: ``hub`` fetches timm's weights, ``none`` leaves them random, anything else is a local
            safetensors or PyTorch file.
        input_size: Height and width of the input in pixels, where another than the weights' own is wanted.
        stochastic_depth: Rate at which residual branches are dropped in training, where the network has them.
        network: What ``catsdogs_cnn`` is made of; no other backbone takes it.

    Returns:
        The network, whose ``head_hidden_size`` or ``num_features`` is the width D of its features, and its
        preprocessing: timm's, overridden by the metadata of a safetensors file, overridden by ``input_size``.

    Raises:
        ModelError: The name is unknown, the weights cannot be had or do not fit, or the size is impossible.
    """
    _require_known(name)
    if not 0 <= stochastic_depth < 1:
        raise ModelError(f"stochastic depth {stochastic_depth} is outside [0, 1)")
    options: dict[str, Any] = {"drop_path_rate": stochastic_depth} if stochastic_depth else {}
    if network is not None:
        if name != CNN:
            raise ModelError(f"{name} is made as timm makes it; only {CNN} has a width and a depth to choose")
        options |= network.to_dict()
    backbone = _from_hub(name, options) if weights == HUB else _create(name, options)
    spec = timm_spec(backbone)
    if weights not in (HUB, RANDOM):
        state, metadata = read_weights(weights)
        spec = spec_from_metadata(spec, metadata, name, weights)
        load_strictly(backbone, state, weights)
    if input_size is not None:
        spec = replace(spec, height_px=input_size, width_px=input_size)
    fit_to_input(backbone, spec)
    return backbone, spec


def pretrained_classifier(
    name: str, weights: str, backbone: nn.Module
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]] | None:
    """Return weight (K, D) and bias (K,) of the classifier that came with the weights; None where none did.

    Args:
        name: Of the architecture.
        weights: As ``create_backbone`` took them, successfully.
        backbone: What it returned.
    """
    if weights == RANDOM:
        return None
    if weights == HUB:
        classes = backbone.pretrained_cfg["num_classes"]  # type: ignore[index]
        layer = _from_hub(name, {"num_classes": classes}).get_classifier()  # type: ignore[operator]
        tensors = layer.state_dict() if isinstance(layer, nn.Linear) else {}
        prefix = ""
    else:
        tensors, _ = read_weights(weights)
        prefix = (*_classifier_prefixes(backbone), "")[0]
    weight, bias = tensors.get(f"{prefix}weight"), tensors.get(f"{prefix}bias")
    if weight is None or bias is None or weight.shape != (len(bias), feature_width(backbone)):
        return None
    return weight.detach().float().numpy(), bias.detach().float().numpy()


def timm_version() -> str:
    """Return the version of timm, which decides what an architecture's name means."""
    return str(timm.__version__)


def feature_width(backbone: nn.Module) -> int:
    """Return D, the width of the features that a backbone made here gives."""
    return int(getattr(backbone, "head_hidden_size", None) or backbone.num_features)  # type: ignore[arg-type]


def fit_to_input(backbone: nn.Module, spec: PreprocessSpec) -> None:
    """Make a backbone accept the size of ``spec``, also where it has position embeddings or windows.

    Raises:
        ModelError: The network cannot work at that size.
    """
    config: Mapping[str, Any] = backbone.pretrained_cfg  # type: ignore[assignment]
    size = (spec.height_px, spec.width_px)
    if tuple(config["input_size"][1:]) == size:
        return
    try:
        if config.get("fixed_input_size"):
            _set_input_size(backbone, size)
        _try_out(backbone, size)
    except (AttributeError, AssertionError, IndexError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"{config.get('architecture')} cannot work at {size[0]}x{size[1]} px: {first_line(error)}"
        ) from error


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


def load_strictly(backbone: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Load every tensor of the backbone; a classifier of whatever size in ``state`` is ignored.

    Raises:
        ModelError: A tensor is missing, left over or of another shape; the message names the first few.
    """
    state = timm.models.clean_state_dict(dict(state))
    own = backbone.state_dict()
    classifier = _classifier_prefixes(backbone)
    # BatchNorm's counters are not in old files, and nothing here uses them.
    missing = [key for key in own if key not in state and not key.endswith("num_batches_tracked")]
    left_over = [key for key in state if key not in own and not key.startswith(classifier)]
    misfits = [
        f"{key} {tuple(state[key].shape)} for {tuple(own[key].shape)}"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    faults = [
        f"{title} {_some(keys)}"
        for title, keys in (
            ("missing", missing),
            ("not part of it", left_over),
            ("of another shape", misfits),
        )
        if keys
    ]
    if faults:
        architecture = backbone.pretrained_cfg.get("architecture")  # type: ignore[union-attr,operator]
        raise ModelError(f"{source} does not fit {architecture}: {'; '.join(faults)}")
    try:
        backbone.load_state_dict({key: state.get(key, own[key]) for key in own})
    except RuntimeError as error:  # tensors without data, or sparse ones
        raise ModelError(f"{source} cannot be used: {first_line(error)}") from error


def nearest_names(name: str, count: int = 5) -> list[str]:
    """Return the known architectures whose names are most like ``name``."""
    return difflib.get_close_matches(name.partition(".")[0], timm.list_models(), n=count, cutoff=0.5)


def _require_known(name: str) -> None:
    # Only plain names: timm takes `hf-hub:...` and `local-dir:...` as places to fetch from.
    if ":" not in name and "/" not in name and timm.is_model(name.partition(".")[0]):
        return
    near = nearest_names(name)
    hint = f"; the nearest are {', '.join(near)}" if near else "; timm.list_models() names them all"
    raise ModelError(f"timm has no backbone {name!r}{hint}")


def _set_input_size(backbone: nn.Module, size: tuple[int, int]) -> None:
    with warnings.catch_warnings():
        # timm's resampling of relative positions uses an indexing that torch deprecates, once a call.
        warnings.simplefilter("ignore")
        backbone.set_input_size(img_size=size)  # type: ignore[operator]


@torch.no_grad()
def _try_out(backbone: nn.Module, size: tuple[int, int]) -> None:
    """Run one black picture: only this tells whether a network works at a size."""
    training = backbone.training
    backbone.eval()(torch.zeros(1, 3, *size))
    backbone.train(training)


def _create(name: str, options: Mapping[str, Any], *, pretrained: bool = False) -> nn.Module:
    try:
        network: nn.Module = timm.create_model(name, pretrained=pretrained, **{"num_classes": 0, **options})
    except TypeError:
        # Networks without residual branches do not take drop_path_rate.
        if not options:
            raise
        raise ModelError(f"{name} has no stochastic depth; leave it at 0") from None
    except RuntimeError as error:
        raise ModelError(f"timm cannot make {name}: {first_line(error)}") from error
    return network


def _from_hub(name: str, options: Mapping[str, Any]) -> nn.Module:
    if pretrained_weights(name) is None:
        raise ModelError(
            f"there are no weights of {name} to fetch: give a local file with --model.weights PATH, or train "
            "it with --transfer.strategy from_scratch"
        )
    try:
        with brief_hub():
            return _create(name, options, pretrained=True)
    except ModelError:
        raise
    except Exception as error:  # whatever the hub's client raises, the user's remedy is the same
        raise ModelError(
            f"the weights of {name} could not be fetched from timm's hub ({type(error).__name__}): "
            "connect to the network, or give a local file with --model.weights PATH"
        ) from error


def _classifier_prefixes(backbone: nn.Module) -> tuple[str, ...]:
    named = backbone.pretrained_cfg.get("classifier", ())  # type: ignore[union-attr,operator]
    return tuple(f"{name}." for name in ([named] if isinstance(named, str) else named or ()))


def _some(keys: list[str]) -> str:
    shown = ", ".join(keys[:_SHOWN_KEYS])
    return shown if len(keys) <= _SHOWN_KEYS else f"{shown} and {len(keys) - _SHOWN_KEYS} more"


def grouped_parameters(backbone: nn.Module) -> list[list[str]]:
    """Return the names of the parameters by timm's own coarse layer groups, from the input to the top."""
    matcher = getattr(backbone, "group_matcher", None)
    if matcher is None:
        return [[name for name, _ in backbone.named_parameters()]]
    groups = timm.models.group_parameters(backbone, matcher(coarse=True))
    return [groups[number] for number in sorted(groups)]


@dataclass(frozen=True, slots=True)
class PretrainedWeights:
    """What timm tells about the weights that a name stands for.

    Attributes:
        name: The architecture with the tag of these weights.
        license: As their authors named it, or None.
        hub_id: The hub's repository that holds them, or None.
    """

    name: str
    license: str | None
    hub_id: str | None


def architectures() -> list[str]:
    """Return the names of all of timm's architectures, without tags."""
    return list(timm.list_models())


def tagged_names() -> list[str]:
    """Return the names, with their tags, of all weights that timm can fetch."""
    return list(timm.list_pretrained())


def pretrained_weights(name: str) -> PretrainedWeights | None:
    """Return the weights that ``hub`` means for a backbone; None where there are none to fetch.

    Raises:
        ModelError: timm has no such backbone, or no such weights for it.
    """
    _require_known(name)
    try:
        config = timm.models.get_pretrained_cfg(name)
    except RuntimeError as error:
        raise ModelError(f"timm has no weights {name!r}: {first_line(error)}") from error
    if config is None or not config.has_weights:
        return None
    full = f"{config.architecture}.{config.tag}" if config.tag else name
    return PretrainedWeights(full, config.license, config.hf_hub_id)


def outline(name: str) -> nn.Module:
    """Build a backbone that has shapes but no numbers: to count its parameters, not to run it."""
    _require_known(name)
    with torch.device("meta"):
        return _create(name, {})
