"""An ensemble is one network that says what its members say together, and is read as safely as one."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from catsdogs.core.errors import ModelError
from catsdogs.core.predictions import log_softmax
from catsdogs.core.voting import Vote
from catsdogs.models import modelcard
from catsdogs.models.backbones import create_backbone
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.ensemble import EnsembleClassifier
from catsdogs.models.execution import Execution, Runner
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HeadSpec
from catsdogs.models.modelcard import ModelCard, load_card
from catsdogs.models.modelfile import cut_backbone, load_backbone, load_model, save_model, save_temperature

KINDS = (("test_resnet", ("top",), HeadSpec()), ("test_resnet", ("2", "3"), HeadSpec("rbf", vectors=4)))
KINDS += (("test_efficientnet", ("top",), HeadSpec("mlp", hidden=6)),)
PIXELS = np.random.default_rng(1).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)


def member(place: int) -> tuple[ImageClassifier, ModelCard]:
    name, stages, spec = KINDS[place]
    torch.manual_seed(place)
    backbone, _ = create_backbone(name, input_size=32)
    preprocess = create_backbone("test_resnet", input_size=32)[1]
    head = build_head(cut_backbone(backbone, preprocess, stages), 2, spec)
    for tensor in (*head.fc.parameters(), *head.fc.buffers()):
        if tensor.ndim == 2:
            torch.nn.init.normal_(tensor)
    card = ModelCard(name, ("cat", "dog"), preprocess, spec, stages, temperature=1 + place)
    return ImageClassifier(backbone, head, preprocess, stages).eval(), card


def joined(kind: str = "soft") -> tuple[EnsembleClassifier, ModelCard]:
    classifiers, cards = zip(*(member(place) for place in range(3)), strict=True)
    first = cards[0]
    card = ModelCard(
        "a + b",
        first.class_names,
        first.preprocess,
        temperature=1.5,
        members=cards,
        vote=Vote.of(kind, [1, 2, 1]),
    )
    return EnsembleClassifier(classifiers, card).eval(), card


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("ensemble")
    save_model(place, *joined())
    return place


@pytest.mark.parametrize("kind", ["soft", "majority"])
def test_it_says_what_its_calibrated_members_say_together(kind: str) -> None:
    alone = np.stack(
        [Runner(one, Execution()).logits(PIXELS) / card.temperature for one, card in map(member, range(3))]
    )
    ensemble, card = joined(kind)
    assert card.vote is not None
    runner = Runner(ensemble, Execution())
    np.testing.assert_allclose(runner.logits(PIXELS), card.vote.merge(alone), atol=1e-5)
    rows = np.concatenate(list(runner.stream([PIXELS], features=True)))
    assert rows.shape[1] == 2 + sum(
        Runner(member(place)[0], Execution()).features(PIXELS).shape[1] for place in range(3)
    )


def test_saved_and_loaded_it_is_the_same(folder: Path) -> None:
    ensemble, card = joined()
    loaded, read = load_model(folder)
    assert read == card
    expected = Runner(ensemble, Execution()).logits(PIXELS)
    np.testing.assert_array_equal(Runner(loaded, Execution()).logits(PIXELS), expected)
    save_temperature(folder, 1.5)
    assert load_card(folder) == card
    names = load_file(folder / "model.safetensors")
    assert {name.split(".")[1] for name in names} == {"0", "1", "2"}


def test_rounded_to_bf16_it_is_near(folder: Path) -> None:
    loaded, _ = load_model(folder)
    exact, rounded = (Runner(loaded, Execution(precision=kind)).logits(PIXELS) for kind in ("fp32", "bf16"))
    np.testing.assert_allclose(np.exp(log_softmax(rounded)), np.exp(log_softmax(exact)), atol=0.05)


def test_a_reader_of_single_models_says_that_it_is_too_old(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(modelcard, "ENSEMBLE_VERSION", 1)
    with pytest.raises(ModelError, match="it has version 2; this catsdogs reads"):
        load_card(folder)


def damaged(folder: Path, tmp_path: Path, change) -> Path:
    values = json.loads((folder / "model.json").read_text())
    change(values)
    (tmp_path / "model.json").write_text(json.dumps(values))
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    return tmp_path


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: v.pop("members"), "damaged"),
        (lambda v: v.update(members=[]), "members need a vote"),
        (lambda v: v.update(members=v["members"] * 30), "2 to 64 members"),
        (lambda v: v.update(members="abc"), "2 to 64 members"),
        (lambda v: v.update(members=v["members"][:2]), "a weight each"),
        (lambda v: v["members"].append({**v, "members": []}), "no single network"),
        (lambda v: v["members"][0].update(class_names=["a", "b"]), "know its classes"),
        (lambda v: v["members"][1]["preprocess"].update(height_px=64), "inputs of different shape"),
        (lambda v: v["preprocess"].update(crop_fraction=0.5), "not prepared for all"),
        (lambda v: v["members"][1].update(temperature=0), "temperature 0.0 is outside"),
        (lambda v: v["vote"].update(weights=[1, 1, 1]), "sum to 3"),
        (lambda v: v.update(vote=None), "damaged"),
        (lambda v: v["members"][0].update(backbone="resnet18"), "does not fit|not a usable model"),
        (lambda v: v.update(sha256="0" * 64), "truncated, damaged"),
    ],
)
def test_a_damaged_one_is_one_line(change, words: str, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        load_model(damaged(folder, tmp_path, change))
    assert "\n" not in str(caught.value)


def test_it_is_no_backbone_and_no_member(folder: Path) -> None:
    with pytest.raises(ModelError, match="is an ensemble of 3; give one of its members"):
        load_backbone(folder)
    _, card = joined()
    with pytest.raises(ModelError, match="single networks"):
        replace(card, members=(card, card, card))
