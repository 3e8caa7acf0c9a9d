"""What ``--model.backbone`` and ``--model.weights`` mean together: timm's weights, a file's, or a model's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from catsdogs.core.errors import ConfigError
from catsdogs.core.preprocess import Framing, PreprocessSpec
from catsdogs.models.backbones import HUB, RANDOM, create_backbone
from catsdogs.models.embedded import is_embedded
from catsdogs.models.modelcard import ModelCard, load_card
from catsdogs.models.modelfile import load_backbone
from catsdogs.models.networkspec import NetworkSpec
from catsdogs.transfer.strategies import AUTO, find_strategy
from catsdogs.workflows.settings import TrainSettings


@dataclass(frozen=True)
class OpenedBackbone:
    """A network to build on.

    Attributes:
        name: timm's name of it.
        backbone: With its weights.
        spec: How it wants its pictures.
        network: What a ``catsdogs_cnn`` is made of; None for the others.
        embedded: Whether it has learned what the embedded model has.
    """

    name: str
    backbone: nn.Module
    spec: PreprocessSpec
    network: NetworkSpec | None
    embedded: bool


def names_model(weights: str) -> bool:
    """Say whether weights are those of a trained model: a folder, or the embedded one."""
    return weights not in (HUB, RANDOM) and (is_embedded(weights) or Path(weights).is_dir())


def framing_of(settings: TrainSettings) -> Framing | None:
    """Return how pictures are framed: a square for a frozen backbone, else as its authors did.

    None where the weights are a model, which keeps the framing that it has learned.
    """
    model, name = settings.model, settings.transfer.strategy
    if names_model(model.weights):
        return None
    trained = name != AUTO and find_strategy(name).trains_backbone
    return model.framing or ("crop" if trained else "square")


def open_backbone(settings: TrainSettings, weights: str) -> OpenedBackbone:
    """Create the network that the settings name, with their weights or others.

    Args:
        settings: Of the run.
        weights: Those of the settings, or ``none`` for random numbers.

    Raises:
        ModelError: The backbone or its weights cannot be had.
        ConfigError: The weights are a model with another backbone, or with a framing of its own.
    """
    model = settings.model
    if names_model(model.weights):
        if model.framing is not None:
            raise ConfigError("--model.framing: a model keeps the framing that it has learned; leave it out")
        card = _card(model.weights, model.backbone)
        if weights != RANDOM:
            backbone, spec, _ = load_backbone(
                model.weights, input_size=model.input_size, stochastic_depth=model.stochastic_depth
            )
            return OpenedBackbone(card.backbone, backbone, spec, card.network, card.embedded)
        name, network = card.backbone, card.network
        size: int | None = model.input_size or card.preprocess.height_px
        framing: Framing = "square" if card.preprocess.crop_fraction == 1 else "crop"
    else:
        name, network, size = settings.backbone, settings.network_spec, model.input_size
        framing = framing_of(settings) or "crop"
    backbone, spec = create_backbone(
        name,
        weights,
        framing=framing,
        input_size=size,
        stochastic_depth=model.stochastic_depth,
        network=network,
    )
    return OpenedBackbone(name, backbone, spec, network, embedded=False)


def _card(weights: str, backbone: str | None) -> ModelCard:
    card = load_card(weights)
    card.require_single(f"--model.weights {weights}")
    if backbone not in (None, card.backbone):
        raise ConfigError(f"--model.weights {weights} is a {card.backbone}; leave out --model.backbone")
    return card
