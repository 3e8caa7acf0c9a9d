"""A model on disk: ``model.safetensors`` and ``model.json``, all that prediction needs and no code.

``model.json`` holds the digest of the tensors it belongs to, so that a damaged or mismatched pair is named
instead of giving wrong answers. Reading needs no network and no Lightning, and runs nothing that a file
holds.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import safetensors
from safetensors.torch import load, save
from torch import nn

from catsdogs.core.errors import ModelError
from catsdogs.core.files import replacing, write_json
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.models.backbones import RANDOM, create_backbone, feature_width, fit_to_input
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.heads import HeadSpec, build_head
from catsdogs.models.networkspec import NetworkSpec
from catsdogs.models.stages import TOP, check_stages, drop_unused_layers, find_stages

FORMAT = "catsdogs-model"
VERSION = 1
TENSORS, CARD = "model.safetensors", "model.json"
# One slash is enough: a URL that has been a Path has lost the other. A drive is one letter.
_URL = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)


@dataclass(frozen=True)
class ModelCard:
    """What a model is, apart from its tensors.

    Attributes:
        backbone: timm's name of the architecture.
        class_names: In the order of the logits.
        preprocess: How its pictures are prepared.
        head: What the head is made of.
        stages: Where its features come from; the layers above the last of them are not in the file.
        temperature: Logits are divided by it before they become probabilities.
        training: Strategy, seed, set sizes and the like, for people; nothing reads it.
        network: What ``catsdogs_cnn`` is made of; None for the other backbones.
    """

    backbone: str
    class_names: tuple[str, ...]
    preprocess: PreprocessSpec
    head: HeadSpec = field(default_factory=HeadSpec)
    stages: tuple[str, ...] = (TOP,)
    temperature: float = 1.0
    training: Mapping[str, Any] = field(default_factory=dict)
    network: NetworkSpec | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "backbone": self.backbone,
            "class_names": list(self.class_names),
            "preprocess": self.preprocess.to_dict(),
            "head": self.head.to_dict(),
            "stages": list(self.stages),
            "temperature": self.temperature,
            "training": dict(self.training),
            "network": None if self.network is None else self.network.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelCard:
        """Build the card from the plain values of ``to_dict``.

        Raises:
            ModelError: It is something else, from a later version, or damaged.
        """
        if values.get("format") != FORMAT:
            raise ModelError("it is not a catsdogs model")
        if values.get("version") != VERSION:
            raise ModelError(f"it has version {values.get('version')}; this catsdogs reads version {VERSION}")
        try:
            temperature = float(values["temperature"])
            if not 0 < temperature < float("inf"):
                raise ValueError(f"temperature {temperature} is not a positive number")
            return cls(
                backbone=str(values["backbone"]),
                class_names=_names(values["class_names"], at_least=2, what="two or more distinct classes"),
                preprocess=PreprocessSpec.from_dict(values["preprocess"]),
                head=HeadSpec.from_dict(values["head"]),
                stages=_names(values.get("stages", [TOP]), at_least=1, what="distinct stages"),
                temperature=temperature,
                training=dict(values.get("training", {})),
                network=None if values.get("network") is None else NetworkSpec.from_dict(values["network"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"its {CARD} is damaged: {error}") from error


def _names(values: Any, *, at_least: int, what: str) -> tuple[str, ...]:
    names = tuple(values) if isinstance(values, Sequence) and not isinstance(values, str) else ()
    if len(set(names)) < max(at_least, len(names)) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"it needs the names of {what}")
    return names


def build_classifier(card: ModelCard, *, stochastic_depth: float = 0.0) -> ImageClassifier:
    """Return the classifier that ``card`` describes, with random weights."""
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


def save_model(folder: Path, classifier: ImageClassifier, card: ModelCard) -> None:
    """Write both files durably; a reader finds the old pair or the new one, or is told that they differ.

    Raises:
        OutputError: The folder cannot be written.
    """
    tensors = {key: value.detach().cpu().contiguous() for key, value in classifier.state_dict().items()}
    data = save(tensors, metadata={"format": "pt"})
    with replacing(folder / TENSORS) as temporary:
        temporary.write_bytes(data)
    write_json(folder / CARD, card.to_dict() | {"sha256": hashlib.sha256(data).hexdigest()})


def save_temperature(folder: Path, temperature: float) -> None:
    """Give the model in ``folder`` another temperature; its tensors stay as they are."""
    values = _read_card(folder)
    card = replace(ModelCard.from_dict(values), temperature=temperature)
    write_json(folder / CARD, card.to_dict() | {"sha256": values["sha256"]})


def find_model(path: str | Path) -> Path:
    """Return the folder that holds the model which ``path``, a run folder or a model folder, means.

    Raises:
        ModelError: It is a URL, missing, a checkpoint for resuming, or something else.
    """
    if _URL.match(str(path)):
        raise ModelError(f"{path} is a URL; a model is a local folder")
    place = Path(path)
    try:
        for folder in (place, place / "model"):
            if (folder / CARD).is_file():
                return folder
        there = place.exists()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    if place.suffix == ".ckpt":
        raise ModelError(f"{path} is a checkpoint for resuming; give the run folder that holds it")
    if not there:
        raise ModelError(f"{path}: no such run or model folder")
    raise ModelError(f"{path} holds no model (no {CARD}, and no model/{CARD})")


def load_card(path: str | Path) -> ModelCard:
    """Return the card of the model in a run or model folder, without its tensors.

    Raises:
        ModelError: There is no model, or its card is damaged.
    """
    return ModelCard.from_dict(_read_card(find_model(path)))


def load_model(path: str | Path, *, stochastic_depth: float = 0.0) -> tuple[ImageClassifier, ModelCard]:
    """Return the classifier, in evaluation mode, and its card from a run or model folder.

    Raises:
        ModelError: There is no model, or it is truncated, damaged or of an unknown kind.
    """
    folder = find_model(path)
    values = _read_card(folder)
    try:
        card = ModelCard.from_dict(values)
        data = (folder / TENSORS).read_bytes()
        if hashlib.sha256(data).hexdigest() != values.get("sha256"):
            raise ModelError(f"{TENSORS} is truncated, damaged, or not the one that {CARD} describes")
        tensors = load(data)
        classifier = build_classifier(card, stochastic_depth=stochastic_depth)
        shapes = {key: tensor.shape for key, tensor in classifier.state_dict().items()}
        if shapes != {key: tensor.shape for key, tensor in tensors.items()}:
            raise ModelError(f"{TENSORS} does not fit {card.backbone} with this head")
    except OSError as error:
        raise ModelError(f"{folder / TENSORS} cannot be read: {error.strerror}") from error
    except (ModelError, safetensors.SafetensorError) as error:
        raise ModelError(f"{folder} is not a usable model: {error}") from error
    classifier.load_state_dict(tensors)
    return classifier.eval(), card


def _read_card(folder: Path) -> dict[str, Any]:
    try:
        values = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{folder} is not a usable model: {CARD} cannot be read ({error})") from error
    if not isinstance(values, dict):
        raise ModelError(f"{folder} is not a usable model: {CARD} is not an object")
    return values
