"""A model on disk: ``model.safetensors`` and ``model.json``, all that prediction needs and no code.

``model.json`` holds the digest of the tensors it belongs to, so that a damaged or mismatched pair is named
instead of giving wrong answers. Reading needs no network and no Lightning, and runs nothing that a file
holds.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import safetensors
from safetensors.torch import load, save
from torch import nn

from catsdogs.core.errors import ModelError
from catsdogs.core.files import replacing, write_json
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.core.viewweights import ViewWeights
from catsdogs.models.backbones import RANDOM, create_backbone, feature_width, fit_to_input
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.embedded import embedded_folder, is_embedded
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
        embedded: Whether it is the model that the package carries, or builds on it: what that one has learned
            from cannot judge this one either.
    """

    backbone: str
    class_names: tuple[str, ...]
    preprocess: PreprocessSpec
    head: HeadSpec = field(default_factory=HeadSpec)
    stages: tuple[str, ...] = (TOP,)
    temperature: float = 1.0
    training: Mapping[str, Any] = field(default_factory=dict)
    network: NetworkSpec | None = None
    embedded: bool = False
    augmentation: Mapping[str, Any] | None = None
    view_weights: tuple[ViewWeights, ...] = ()

    def weights_of(self, names: Collection[str]) -> ViewWeights | None:
        """Return the learned weights of the views of these names; None where none were learned."""
        return next((learned for learned in self.view_weights if set(learned.weights) == set(names)), None)

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
            "embedded": self.embedded,
            "augmentation": None if self.augmentation is None else dict(self.augmentation),
            "view_weights": [learned.to_dict() for learned in self.view_weights],
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
                embedded=bool(values.get("embedded", False)),
                augmentation=None if values.get("augmentation") is None else dict(values["augmentation"]),
                view_weights=tuple(map(ViewWeights.from_dict, values.get("view_weights", ()))),
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


def save_model(folder: Path, classifier: ImageClassifier, card: ModelCard, *, half: bool = False) -> None:
    """Write both files durably; a reader finds the old pair or the new one, or is told that they differ.

    Args:
        folder: Where to; it is made.
        classifier: The tensors.
        card: The rest.
        half: Keep float16 of the tensors: half the file, three digits; they are float32 again when loaded.

    Raises:
        OutputError: The folder cannot be written.
    """
    tensors = {key: value.detach().cpu().contiguous() for key, value in classifier.state_dict().items()}
    if half:
        tensors = {name: one.half() if one.is_floating_point() else one for name, one in tensors.items()}
    data = save(tensors, metadata={"format": "pt"})
    with replacing(folder / TENSORS) as temporary:
        temporary.write_bytes(data)
    write_json(folder / CARD, card.to_dict() | {"sha256": hashlib.sha256(data).hexdigest()})


def save_temperature(folder: Path, temperature: float) -> None:
    """Give the model in ``folder`` another temperature; its tensors stay as they are."""
    values = _read_card(folder)
    card = replace(ModelCard.from_dict(values), temperature=temperature)
    write_json(folder / CARD, card.to_dict() | {"sha256": values["sha256"]})


def save_view_weights(folder: Path, learned: ViewWeights) -> None:
    """Give the model in ``folder`` these weights of views in place of any it has of the same views."""
    values = _read_card(folder)
    card = ModelCard.from_dict(values)
    others = [one for one in card.view_weights if set(one.weights) != set(learned.weights)]
    changed = replace(card, view_weights=(*others, learned))
    write_json(folder / CARD, changed.to_dict() | {"sha256": values["sha256"]})


def find_model(path: str | Path) -> Path:
    """Return the folder that holds the model which ``path``, a run folder or a model folder, means.

    Raises:
        ModelError: It is a URL, missing, a checkpoint for resuming, or something else.
    """
    if _URL.match(str(path)):
        raise ModelError(f"{path} is a URL; a model is a local folder")
    place = embedded_folder() if is_embedded(path) else Path(path)
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
    if card.stages != (TOP,):
        raise ModelError(
            f"{path} holds the layers up to stage {card.stages[-1]} only; a backbone to build on needs all"
        )
    spec = card.preprocess
    if input_size is not None:
        spec = replace(spec, height_px=input_size, width_px=input_size)
        fit_to_input(classifier.backbone, spec)
    return classifier.backbone, spec, card


def _read_card(folder: Path) -> dict[str, Any]:
    try:
        values = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{folder} is not a usable model: {CARD} cannot be read ({error})") from error
    if not isinstance(values, dict):
        raise ModelError(f"{folder} is not a usable model: {CARD} is not an object")
    return values
