"""ModelCard: what a model is, apart from its tensors: ``model.json``, read without torch."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from catsdogs.core.errors import ModelError
from catsdogs.core.preprocess import PreprocessSpec, common_spec
from catsdogs.core.viewweights import ViewWeights
from catsdogs.core.voting import Vote
from catsdogs.models.embedded import embedded_folder, is_embedded
from catsdogs.models.headspec import HeadSpec
from catsdogs.models.networkspec import NetworkSpec

FORMAT = "catsdogs-model"
# What reads version 1 cannot run an ensemble, and says so by this number.
VERSION, ENSEMBLE_VERSION = 1, 2
TENSORS, CARD = "model.safetensors", "model.json"
# The stage that the network's own classifier would see.
TOP = "top"
# What is fitted lies between 0.05 and 20; logits divided by these are still numbers.
_COLDEST, _HOTTEST = 1e-6, 1e6
_MOST_MEMBERS = 64
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
        training: Strategy, seed, epoch, interpolation and the like, for people and for a run that goes on;
            predicting reads none of it.
        network: What ``catsdogs_cnn`` is made of; None for the other backbones.
        embedded: Whether it is the model that the package carries, or builds on it: what that one has learned
            from cannot judge this one either.
        augmentation: How its training pictures were changed, for random views; None where it is not known.
        view_weights: How much each view counts, for every set of views that weights were learned for.
        members: The cards of an ensemble's members, two or more, of the same classes;
            empty for a single network. ``backbone`` then names theirs, for people, and ``head``, ``stages``
            and ``network`` say nothing.
        vote: How the members' answers are merged; None for a single network.
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
    members: tuple[ModelCard, ...] = ()
    vote: Vote | None = None

    def __post_init__(self) -> None:
        """Check that members go together.

        Raises:
            ModelError: They are too few or too many, ensembles, of other classes, or want other pictures.
        """
        if bool(self.members) != (self.vote is not None):
            raise ModelError("members need a vote, and a vote members")
        if self.vote is None:
            return
        if not 2 <= len(self.members) <= _MOST_MEMBERS or len(self.vote.weights) != len(self.members):
            raise ModelError(f"an ensemble has 2 to {_MOST_MEMBERS} members with a weight each")
        for member in self.members:
            if member.members or member.class_names != self.class_names:
                raise ModelError("the members of an ensemble are single networks that know its classes")
        if self.preprocess != common_spec([member.preprocess for member in self.members]):
            raise ModelError("the pictures of an ensemble are not prepared for all of its members")

    def require_single(self, what: str) -> None:
        """Refuse an ensemble where one network is wanted.

        Raises:
            ModelError: It is one.
        """
        if self.members:
            raise ModelError(f"{what} is an ensemble of {len(self.members)}; give one of its members")

    def weights_of(self, names: Collection[str]) -> ViewWeights | None:
        """Return the learned weights of the views of these names; None where none were learned."""
        return next((learned for learned in self.view_weights if set(learned.weights) == set(names)), None)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        ensemble: dict[str, Any] = {}
        if self.vote is not None:
            ensemble = {
                "version": ENSEMBLE_VERSION,
                "members": [member.to_dict() for member in self.members],
                "vote": self.vote.to_dict(),
            }
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
            **ensemble,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelCard:
        """Build the card from the plain values of ``to_dict``.

        Raises:
            ModelError: It is something else, from a later version, or damaged.
        """
        if values.get("format") != FORMAT:
            raise ModelError("it is not a catsdogs model")
        version = values.get("version")
        if version not in (VERSION, ENSEMBLE_VERSION):
            known = f"versions {VERSION} and {ENSEMBLE_VERSION}"
            raise ModelError(f"it has version {version}; this catsdogs reads {known}")
        try:
            temperature = float(values["temperature"])
            if not _COLDEST <= temperature <= _HOTTEST:
                raise ValueError(f"temperature {temperature} is outside {_COLDEST:g} to {_HOTTEST:g}")
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
                **(_ensemble(values) if version == ENSEMBLE_VERSION else {}),
            )
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise ModelError(f"its {CARD} is damaged: {error}") from error


def _ensemble(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return members and vote; a member is a single network, so this goes no deeper."""
    members = values["members"]
    if not isinstance(members, list) or len(members) > _MOST_MEMBERS:
        raise ValueError(f"it needs 2 to {_MOST_MEMBERS} members")
    if any(member["version"] != VERSION for member in members):
        raise ValueError("a member is no single network")
    return {"members": tuple(map(ModelCard.from_dict, members)), "vote": Vote.from_dict(values["vote"])}


def _names(values: Any, *, at_least: int, what: str) -> tuple[str, ...]:
    names = tuple(values) if isinstance(values, Sequence) and not isinstance(values, str) else ()
    if len(set(names)) < max(at_least, len(names)) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"it needs the names of {what}")
    return names


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
    return ModelCard.from_dict(read_card_values(find_model(path)))


def read_tensors(folder: Path) -> tuple[ModelCard, bytes]:
    """Return the card and the bytes of the tensors of a model folder, which belong together.

    Raises:
        ModelError: A file is missing, truncated or damaged, or they are of two models.
    """
    card, data, _ = _read_checked(folder)
    return card, data


def read_digest(folder: Path) -> tuple[ModelCard, str]:
    """Return the card and the SHA-256, in hexadecimal, of the tensors of a model folder, once it is checked.

    Raises:
        ModelError: As ``read_tensors`` does.
    """
    card, _, digest = _read_checked(folder)
    return card, digest


def _read_checked(folder: Path) -> tuple[ModelCard, bytes, str]:
    values = read_card_values(folder)
    try:
        card = ModelCard.from_dict(values)
        data = (folder / TENSORS).read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        if digest != values.get("sha256"):
            raise ModelError(f"{TENSORS} is truncated, damaged, or not the one that {CARD} describes")
    except OSError as error:
        raise ModelError(f"{folder / TENSORS} cannot be read: {error.strerror}") from error
    except ModelError as error:
        raise ModelError(f"{folder} is not a usable model: {error}") from error
    return card, data, digest


def read_card_values(folder: Path) -> dict[str, Any]:
    """Return the plain values of the card in a model folder.

    Raises:
        ModelError: There is none, or it is damaged.
    """
    try:
        values = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{folder} is not a usable model: {CARD} cannot be read ({error})") from error
    if not isinstance(values, dict):
        raise ModelError(f"{folder} is not a usable model: {CARD} is not an object")
    return values
