"""A model on disk: ``model.safetensors`` and ``model.json``, all that prediction needs and no code.

``model.json`` holds the digest of the tensors it belongs to, so that a damaged or mismatched pair is named
instead of giving wrong answers. Reading needs no network and no Lightning, and runs nothing that a file
holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import safetensors
import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from catsdogs.core.errors import ModelError
from catsdogs.core.familiarity import Familiarity
from catsdogs.core.files import replacing, write_json
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.core.viewweights import ViewWeights
from catsdogs.models.backbones import RANDOM, create_backbone, feature_width, fit_to_input
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.ensemble import EnsembleClassifier
from catsdogs.models.familiar import FAMILIAR
from catsdogs.models.heads import build_head
from catsdogs.models.modelcard import (
    CARD,
    TENSORS,
    TOP,
    ModelCard,
    find_model,
    read_card_values,
    read_tensors,
)
from catsdogs.models.stages import check_stages, drop_unused_layers, find_stages


def build_classifier(card: ModelCard, *, stochastic_depth: float = 0.0) -> ImageClassifier:
    """Return the classifier that ``card`` describes, with random weights."""
    if card.members:
        members = [build_classifier(own, stochastic_depth=stochastic_depth) for own in card.members]
        return EnsembleClassifier(members, card)
    backbone, _ = create_backbone(
        card.backbone, RANDOM, stochastic_depth=stochastic_depth, network=card.network
    )
    fit_to_input(backbone, card.preprocess)
    width = cut_backbone(backbone, card.preprocess, card.stages)
    head = build_head(width, len(card.class_names), card.head)
    return ImageClassifier(backbone, head, card.preprocess, card.stages)


def cut_backbone(backbone: nn.Module, spec: PreprocessSpec, stages: Sequence[str]) -> int:
    """Remove what lies above the last of these stages; return the width of their features.

    Raises:
        ModelError: One is not a stage of this backbone.
    """
    if tuple(stages) == (TOP,):
        return feature_width(backbone)
    known = find_stages(backbone, spec, distinct=False)
    names = check_stages(stages, known)
    if names != tuple(stages):
        raise ModelError(f"stages {', '.join(stages)} are not in the order of the network")
    drop_unused_layers(backbone, names)
    return sum(stage.width for stage in known if stage.name in names)


def save_model(
    folder: Path,
    classifier: ImageClassifier,
    card: ModelCard,
    *,
    half: bool = False,
    familiarity: Familiarity | None = None,
) -> None:
    """Write both files durably; a reader finds the old pair or the new one, or is told that they differ.

    Args:
        folder: Where to; it is made.
        classifier: The tensors.
        card: The rest.
        half: Keep float16 of the tensors: half the file, three digits; they are float32 again when loaded.
        familiarity: What tells strange pictures from those it has learned from.

    Raises:
        OutputError: The folder cannot be written.
    """
    tensors = {key: value.detach().cpu().contiguous() for key, value in classifier.state_dict().items()}
    if half:
        tensors = {name: one.half() if one.is_floating_point() else one for name, one in tensors.items()}
    if familiarity is not None:
        tensors |= _familiar_tensors(familiarity)
    _write(folder, tensors, card)


def _write(folder: Path, tensors: dict[str, Tensor], card: ModelCard) -> None:
    data = save(tensors, metadata={"format": "pt"})
    with replacing(folder / TENSORS) as temporary:
        temporary.write_bytes(data)
    write_json(folder / CARD, card.to_dict() | {"sha256": hashlib.sha256(data).hexdigest()})


def save_temperature(folder: Path, temperature: float) -> None:
    """Give the model in ``folder`` another temperature; its tensors stay as they are."""
    values = read_card_values(folder)
    card = replace(ModelCard.from_dict(values), temperature=temperature)
    write_json(folder / CARD, card.to_dict() | {"sha256": values["sha256"]})


def save_familiarity(folder: Path, familiarity: Familiarity) -> None:
    """Give the model in ``folder`` this in place of any it has; nothing else changes."""
    card, data = read_tensors(folder)
    _write(folder, load(data) | _familiar_tensors(familiarity), card)


def _familiar_tensors(familiarity: Familiarity) -> dict[str, Tensor]:
    return {
        FAMILIAR + name: torch.from_numpy(values.copy())
        for name, values in (
            ("references", familiarity.references),
            ("distances", familiarity.distances),
        )
    }


def save_view_weights(folder: Path, learned: ViewWeights) -> None:
    """Give the model in ``folder`` these weights of views in place of any it has of the same views."""
    values = read_card_values(folder)
    card = ModelCard.from_dict(values)
    others = [one for one in card.view_weights if set(one.weights) != set(learned.weights)]
    changed = replace(card, view_weights=(*others, learned))
    write_json(folder / CARD, changed.to_dict() | {"sha256": values["sha256"]})


def load_model(path: str | Path, *, stochastic_depth: float = 0.0) -> tuple[ImageClassifier, ModelCard]:
    """Return the classifier, in evaluation mode, and its card from a run or model folder.

    Raises:
        ModelError: There is no model, or it is truncated, damaged or of an unknown kind.
    """
    folder = find_model(path)
    card, data = read_tensors(folder)
    try:
        tensors = {key: one for key, one in load(data).items() if not key.startswith(FAMILIAR)}
        classifier = build_classifier(card, stochastic_depth=stochastic_depth)
        shapes = {key: tensor.shape for key, tensor in classifier.state_dict().items()}
        if shapes != {key: tensor.shape for key, tensor in tensors.items()}:
            raise ModelError(f"{TENSORS} does not fit {card.backbone} with this head")
    except (ModelError, safetensors.SafetensorError) as error:
        raise ModelError(f"{folder} is not a usable model: {error}") from error
    classifier.load_state_dict(tensors)
    return classifier.eval(), card


def load_backbone(
    path: str | Path, *, input_size: int | None = None, stochastic_depth: float = 0.0
) -> tuple[nn.Module, PreprocessSpec, ModelCard]:
    """Return the backbone of the model in a run or model folder, how it wants its pictures, and its card.

    Args:
        path: What ``load_model`` takes.
        input_size: Height and width of the input in pixels, where another than the model's own is wanted.
        stochastic_depth: As ``create_backbone`` takes it.

    Raises:
        ModelError: There is no usable model, it has lost its upper layers, or the size is impossible.
    """
    classifier, card = load_model(path, stochastic_depth=stochastic_depth)
    card.require_single(str(path))
    if card.stages != (TOP,):
        raise ModelError(
            f"{path} holds the layers up to stage {card.stages[-1]} only; a backbone to build on needs all"
        )
    spec = card.preprocess
    if input_size is not None:
        spec = replace(spec, height_px=input_size, width_px=input_size)
        fit_to_input(classifier.backbone, spec)
    return classifier.backbone, spec, card
