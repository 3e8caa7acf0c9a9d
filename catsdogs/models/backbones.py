"""Create a timm backbone, load its weights strictly, and fit it to a size of picture.

A backbone here is a timm network without its classifier: float (B, 3, H, W) in, features (B, D) out.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import timm
import torch
from torch import Tensor, nn

from catsdogs.core.errors import ModelError
from catsdogs.core.preprocess import Framing, PreprocessSpec
from catsdogs.core.printable import first_line
from catsdogs.models.hub import brief_hub
from catsdogs.models.networkspec import CNN, NetworkSpec
from catsdogs.models.preprocessing import largest_square, spec_from_metadata, timm_spec
from catsdogs.models.registry import pretrained_weights, require_known
from catsdogs.models.weightsfile import read_weights

HUB, RANDOM = "hub", "none"
_SHOWN_KEYS = 3


def create_backbone(
    name: str,
    weights: str = RANDOM,
    *,
    framing: Framing = "crop",
    input_size: int | None = None,
    stochastic_depth: float = 0.0,
    network: NetworkSpec | None = None,
) -> tuple[nn.Module, PreprocessSpec]:
    """Build a timm backbone without its classifier and say how it wants its pictures.

    Args:
        name: A timm architecture, with or without a pretrained tag.
        weights: ``hub`` fetches timm's weights, ``none`` leaves them random, anything else is a local
            safetensors or PyTorch file.
        framing: The largest ``square`` of a picture, or the ``crop`` of the weights' authors.
        input_size: Height and width of the input in pixels, where another than the framing's is wanted.
        stochastic_depth: Rate at which residual branches are dropped in training, where the network has them.
        network: What ``catsdogs_cnn`` is made of; no other backbone takes it.

    Returns:
        The network, whose ``head_hidden_size`` or ``num_features`` is the width D of its features, and its
        preprocessing: timm's, overridden by the metadata of a safetensors file, by the framing and by
        ``input_size``.

    Raises:
        ModelError: The name is unknown, the weights cannot be had or do not fit, or the size is impossible.
    """
    require_known(name)
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
    if framing == "square":
        spec = largest_square(spec, backbone)
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


def grouped_parameters(backbone: nn.Module) -> list[list[str]]:
    """Return the names of the parameters by timm's own coarse layer groups, from the input to the top."""
    matcher = getattr(backbone, "group_matcher", None)
    if matcher is None:
        return [[name for name, _ in backbone.named_parameters()]]
    groups = timm.models.group_parameters(backbone, matcher(coarse=True))
    return [groups[number] for number in sorted(groups)]


def outline(name: str) -> nn.Module:
    """Build a backbone that has shapes but no numbers: to count its parameters, not to run it."""
    require_known(name)
    with torch.device("meta"):
        return _create(name, {})


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
