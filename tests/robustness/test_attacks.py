"""Attacks: against models whose worst pictures are known, and against every kind of head."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from catsdogs.core.errors import ConfigError
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.core.records import ImageRecord
from catsdogs.models.backbones import create_backbone, feature_width
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HeadSpec
from catsdogs.models.modelcard import ModelCard
from catsdogs.robustness.attacked import attack_all
from catsdogs.robustness.attacks import (
    FGSM,
    PGD,
    Attack,
    Attacker,
    PixelLogits,
    lost_margin,
    to_planes,
)

SPEC = PreprocessSpec(8, 8, crop_fraction=1.0)
PICTURES = np.random.default_rng(0).integers(60, 196, (40, 8, 8, 3), dtype=np.uint8)


class Flat(nn.Module):
    """A backbone that does nothing."""

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        return planes.flatten(1)


def linear(classes: int = 2, *, scale: float = 1.0) -> tuple[ImageClassifier, ModelCard]:
    """A linear model: the least margin within a budget has a formula."""
    torch.manual_seed(0)
    head = build_head(3 * 64, classes, HeadSpec())
    head.fc.weight.data.normal_(std=0.01 * scale)
    card = ModelCard("flat", tuple(f"class {n}" for n in range(classes)), SPEC)
    return ImageClassifier(Flat(), head, SPEC).eval(), card


def small(kind: str = "linear", classes: int = 2, backbone: str = "test_resnet"):
    torch.manual_seed(0)
    network, spec = create_backbone(backbone, input_size=32)
    head = build_head(feature_width(network), classes, HeadSpec(kind, vectors=6 if kind == "rbf" else 0))
    if kind == "rbf":
        for tensor in (head.fc.support, head.fc.coefficients):
            tensor.normal_()
        noise = torch.randint(0, 256, (64, 32, 32, 3), dtype=torch.uint8)
        features = ImageClassifier(network, head, spec).eval().features(noise).detach()
        head.fc.mean.copy_(features.mean(0))
        head.fc.scale.copy_(features.std(0).clamp(min=0.1))
    else:
        nn.init.normal_(head.fc.weight)
    card = ModelCard(backbone, tuple(f"class {n}" for n in range(classes)), spec)
    return ImageClassifier(network, head, spec).eval(), card


def right(attacker: Attacker, labels: np.ndarray, attack: Attack, pixels=PICTURES) -> np.ndarray:
    return attacker.logits(attacker.attacked(pixels, labels, attack)).argmax(1) == labels


@pytest.mark.parametrize("kind", [FGSM, PGD])
def test_a_linear_model_falls_where_the_formula_says(kind: str) -> None:
    classifier, card = linear()
    attacker = Attacker(classifier, card)
    clean = attacker.clean(PICTURES)
    labels = clean.argmax(1)
    margin = clean.max(1) - clean.min(1)
    weights = classifier.head.fc.weight.detach().double()
    # A change of 1/255 in the pixel is one of 1 / (255 std) behind the normalisation.
    slope = ((weights[0] - weights[1]).reshape(3, -1).abs().sum(1) / torch.tensor(SPEC.std)).sum().item()
    for strength in (1.0, 4.0, 16.0):
        expected = margin > slope * strength / 255
        assert right(attacker, labels, Attack(kind, strength)).tolist() == expected.tolist()
    assert 0 < (margin > slope * 4 / 255).sum() < 40


def test_an_over_confident_model_is_no_stronger() -> None:
    plain, sure = (Attacker(*linear(scale=scale)) for scale in (1.0, 1e5))
    labels = plain.clean(PICTURES).argmax(1)
    np.testing.assert_array_equal(sure.clean(PICTURES).argmax(1), labels)
    for attack in (Attack(FGSM, 4.0), Attack(PGD, 4.0)):
        found = right(sure, labels, attack)
        assert found.tolist() == right(plain, labels, attack).tolist()
        assert not found.all()
    # What cross-entropy would have seen of these answers:
    logits = torch.from_numpy(sure.clean(PICTURES)).float().requires_grad_()
    nn.functional.cross_entropy(logits, torch.from_numpy(labels)).backward()
    assert (logits.grad == 0).all()


def test_the_margin_is_lost_to_the_best_wrong_class() -> None:
    logits = torch.tensor([[3.0, 1.0, 2.0], [0.0, 5.0, 1.0]], requires_grad=True)
    lost = lost_margin(logits, torch.tensor([[1.0, 0, 0], [1.0, 0, 0]]))
    lost.backward()
    assert lost.item() == pytest.approx((2 - 3) + (5 - 0))
    assert logits.grad.tolist() == [[-1, 0, 1], [-1, 1, 0]]


@pytest.mark.parametrize("backbone", ["test_resnet", "test_vit"])
def test_bytes_have_the_logits_of_the_classifier_bit_for_bit(backbone: str) -> None:
    classifier, _ = small(backbone=backbone)
    pixels = torch.arange(256, dtype=torch.uint8).repeat(12).reshape(1, 32, 32, 3)
    planes = torch.from_numpy(to_planes(pixels.numpy()))
    with torch.inference_mode():
        assert torch.equal(PixelLogits(classifier)(planes), classifier(pixels))


@pytest.mark.parametrize("kind", ["linear", "mlp", "rbf"])
@pytest.mark.parametrize("classes", [2, 5])
def test_every_head_can_be_attacked(kind: str, classes: int) -> None:
    classifier, card = small(kind, classes)
    before = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
    attacker = Attacker(classifier, card)
    pixels = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
    clean = attacker.clean(pixels)
    labels = clean.argmax(1)

    def margin(planes: np.ndarray) -> float:
        return -lost_margin(torch.from_numpy(attacker.logits(planes)), torch.eye(classes)[labels]).item()

    found = {
        attack: attacker.attacked(pixels, labels, attack) for attack in (Attack(FGSM, 2), Attack(PGD, 2))
    }
    margins = [margin(planes) for planes in found.values()]
    assert margins[0] < margin(to_planes(pixels))
    assert margins[1] <= margins[0]
    for planes in found.values():
        assert np.abs(planes - to_planes(pixels)).max() * 255 == pytest.approx(2, abs=1e-3)
    assert all(torch.equal(before[name], tensor) for name, tensor in classifier.state_dict().items())
    assert all(parameter.requires_grad for parameter in classifier.parameters())


def test_all_pictures_are_attacked_and_bad_files_stay_rows(tmp_path: Path) -> None:
    classifier, card = small()
    records = []
    for number in range(5):
        noise = np.random.default_rng(number).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{number}.png")
        records.append(ImageRecord(f"{number}.png", str(tmp_path), f"{number}.png"))
    (tmp_path / "2.png").write_bytes(b"nothing")
    plan = [Attack(FGSM, 0.0), Attack(PGD, 8.0, 3)]
    steps: list[int] = []
    found = attack_all(
        Attacker(classifier, card), card, records, [0, 1, 0, 1, 0], plan=plan, workers=2, advance=steps.append
    )
    predictions = found.predictions
    assert list(predictions.errors) == [2]
    assert np.isnan(predictions.views.logits[:, 2]).all()
    np.testing.assert_array_equal(predictions.views.logits[0], predictions.views.plain)
    assert found.largest == pytest.approx((0, 8), abs=1e-3)
    assert found.still == (4, 0)
    assert found.inside
    assert sum(steps) == 10


def test_what_pgd_has_beaten_twice_is_not_attacked_again(tmp_path: Path) -> None:
    classifier, card = linear()
    attacker = Attacker(classifier, card)
    pictures = [tmp_path / f"{number}.png" for number in range(len(PICTURES))]
    for path, pixels in zip(pictures, PICTURES, strict=True):
        Image.fromarray(pixels).save(path)
    records = [ImageRecord(path.name, str(tmp_path), path.name) for path in pictures]
    labels = attacker.clean(PICTURES).argmax(1)
    asked: list[int] = []
    attack_one = attacker.attacked

    def counted(pixels, labels, attack):
        asked.append(len(pixels))
        return attack_one(pixels, labels, attack)

    attacker.attacked = counted
    plan = [Attack(kind, strength) for kind in (PGD, FGSM) for strength in (1.0, 2.0, 4.0, 8.0, 16.0)]
    found = attack_all(attacker, card, records, labels, plan=plan, workers=0, advance=lambda _: None)
    pgd, fgsm = np.split(found.predictions.views.logits.argmax(2) == labels, 2)
    # Of a linear model one step finds all that there is to find.
    np.testing.assert_array_equal(pgd, fgsm)
    assert sum(asked) < 10 * len(PICTURES)
    assert found.largest == pytest.approx((1, 2, 4, 8, 16) * 2, abs=1e-3)


def test_without_the_library_it_says_what_to_do(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "art.estimators.classification", None)
    with pytest.raises(ConfigError, match=r"catsdogs\[robust\].*--kinds corruptions,shifts"):
        Attacker(*linear())


def test_a_model_without_gradients_is_refused() -> None:
    class Hard(Flat):
        def forward(self, planes: torch.Tensor) -> torch.Tensor:
            return super().forward(planes).detach()

    class Broken(Flat):
        """Its gradient is not a number, which the library would take for zero."""

        def forward(self, planes: torch.Tensor) -> torch.Tensor:
            return (super().forward(planes) * 0).sqrt()

    classifier, card = linear()
    classifier.backbone = Hard()
    with pytest.raises(ConfigError, match="no gradient"):
        Attacker(classifier, card)
    classifier.backbone = Broken()
    with pytest.raises(ConfigError, match="no gradient"):
        Attacker(classifier, card)


@pytest.mark.slow
def test_logging_is_left_as_it_is(tmp_path) -> None:
    """Imported by itself the toolbox closes the handlers of the whole program."""
    script = (
        "import logging, torch\n"
        "from catsdogs.robustness.attacks import _estimator\n"
        f"handler = logging.FileHandler({str(tmp_path / 'log.txt')!r})\n"
        "stream = handler.stream\n"
        "_estimator(torch.nn.Flatten(), (3, 4, 4), 48, False)\n"
        "assert not stream.closed\n"
    )
    environment = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
