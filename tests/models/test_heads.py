import math

import numpy as np
import pytest
import torch
from sklearn.svm import SVC
from torch import nn
from torch.nn import functional as F

from catsdogs.core.errors import ModelError
from catsdogs.models.activations import build_activation
from catsdogs.models.backbones import RANDOM, create_backbone, feature_width
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HEADS, HeadSpec
from catsdogs.models.kernelhead import REACH, KernelLayer
from catsdogs.models.modelcard import ModelCard, load_card
from catsdogs.models.modelfile import load_model, save_model
from catsdogs.models.networkspec import ACTIVATIONS

TRAINED = ("linear", "mlp")


def spec_of(kind: str, **others) -> HeadSpec:
    return HeadSpec(kind, vectors=6 if kind == "rbf" else 0, **others)


def filled(features: int = 24, vectors: int = 6, classes: int = 3, seed: int = 0) -> nn.Sequential:
    """An rbf head with random numbers of the kind that a fit gives."""
    chance = torch.Generator().manual_seed(seed)
    head = build_head(features, classes, HeadSpec("rbf", vectors=vectors)).eval()
    for name, buffer in head.fc.named_buffers():
        if name != "gamma":
            buffer.copy_(torch.randn(buffer.shape, generator=chance))
    head.fc.scale.abs_().add_(0.1)
    return head


class TestBuildHead:
    @pytest.mark.parametrize("kind", HEADS)
    def test_turns_features_into_logits(self, kind: str) -> None:
        head = build_head(24, 3, spec_of(kind, hidden=8))
        assert head(torch.zeros(5, 24)).shape == (5, 3)
        assert head(torch.zeros(5, 24)).dtype == torch.float32

    @pytest.mark.parametrize("activation", ACTIVATIONS)
    def test_mlp_has_the_activation_asked_for(self, activation: str) -> None:
        head = build_head(24, 3, HeadSpec("mlp", hidden=8, activation=activation)).eval()
        x = torch.randn(5, 24)
        assert torch.equal(head(x), head.fc(build_activation(activation)(head.hidden(x))))
        assert head.fc.in_features == 8

    def test_mlp_is_one_hidden_layer_of_relus(self) -> None:
        head = build_head(24, 3, HeadSpec("mlp", hidden=8)).eval()
        x = torch.randn(5, 24)
        assert torch.equal(head(x), head.fc(F.relu(head.hidden(x))))

    @pytest.mark.parametrize("kind", HEADS)
    @pytest.mark.parametrize("classes", [2, 10])
    def test_first_loss_is_near_that_of_a_guess(self, kind: str, classes: int) -> None:
        torch.manual_seed(0)
        head = build_head(512, classes, spec_of(kind)).eval()
        loss = F.cross_entropy(head(torch.randn(400, 512)), torch.arange(400) % classes)
        assert loss.item() == pytest.approx(math.log(classes), abs=0.1)

    def test_hidden_layer_keeps_the_scale_of_its_input(self) -> None:
        torch.manual_seed(0)
        head = build_head(512, 2, HeadSpec("mlp", hidden=512))
        hidden = F.relu(head.hidden(torch.randn(400, 512)))
        assert hidden.square().mean().item() == pytest.approx(1.0, rel=0.1)

    @pytest.mark.parametrize("kind", TRAINED)
    def test_dropout_works_in_training_only(self, kind: str) -> None:
        head = build_head(64, 2, HeadSpec(kind, dropout=0.5))
        x = torch.randn(4, 64)
        assert not torch.equal(head.train()(x), head(x))
        assert torch.equal(head.eval()(x), head(x))


class TestHeadSpec:
    @pytest.mark.parametrize(
        "spec",
        [HeadSpec(), HeadSpec("mlp", hidden=7, dropout=0.25, activation="elu"), HeadSpec("rbf", vectors=9)],
    )
    def test_survives_json(self, spec: HeadSpec) -> None:
        assert HeadSpec.from_dict(spec.to_dict()) == spec

    @pytest.mark.parametrize(
        "values",
        [
            {"kind": "conv"},
            {"kind": ["linear"]},
            {"hidden": 0},
            {"hidden": 10**9},
            {"hidden": 2.5},
            {"hidden": "8"},
            {"hidden": None},
            {"dropout": 1.0},
            {"dropout": -0.1},
            {"dropout": math.nan},
            {"dropout": "half"},
            {"layers": 3},
            {"activation": "swish"},
            {"activation": ["relu"]},
            {"activation": None},
            {"vectors": 3},
            {"kind": "mlp", "vectors": -1},
            {"kind": "rbf"},
            {"kind": "rbf", "vectors": -5},
            {"kind": "rbf", "vectors": 10**9},
            {"kind": "rbf", "vectors": 2.0},
            {"kind": "rbf", "vectors": True},
            {"kind": "rbf", "vectors": "9"},
            {"kind": "rbf", "vectors": None},
        ],
    )
    def test_what_cannot_be_built_is_refused(self, values: dict[str, object]) -> None:
        with pytest.raises(ModelError):
            HeadSpec.from_dict(values)

    def test_a_file_of_before_there_were_vectors_and_activations_is_read(self) -> None:
        old = {"kind": "mlp", "hidden": 7, "dropout": 0.25}
        assert HeadSpec.from_dict(old) == HeadSpec("mlp", hidden=7, dropout=0.25)

    @pytest.mark.parametrize("values", [None, 5, "linear"])
    def test_what_is_no_head_is_refused(self, values: object) -> None:
        with pytest.raises(ModelError):
            HeadSpec.from_dict(values)


class TestKernelLayer:
    def test_is_sklearns_decision_function(self) -> None:
        chance = np.random.default_rng(0)
        features, labels = chance.normal(size=(80, 24)), np.arange(80) % 2
        points = np.clip(features, -REACH, REACH)
        model = SVC(C=2.0, gamma=0.03).fit(points, labels)
        layer = KernelLayer(24, len(model.support_), 1)
        layer.support.copy_(torch.from_numpy(model.support_vectors_))
        layer.gamma.fill_(0.03)
        layer.coefficients.copy_(torch.from_numpy(model.dual_coef_))
        layer.bias.fill_(model.intercept_[0])
        given = layer(torch.from_numpy(features).float())[:, 0].numpy()
        np.testing.assert_allclose(given, model.decision_function(points), rtol=0, atol=1e-5)

    def test_standardises_and_cuts_off(self) -> None:
        head, x = filled(), torch.randn(5, 24)
        layer = head.fc
        standard = ((x - layer.mean) / layer.scale).clamp(-REACH, REACH)
        distances = torch.cdist(standard.double(), layer.support.double()).square().float()
        expected = torch.exp(-layer.gamma * distances) @ layer.coefficients.T + layer.bias
        torch.testing.assert_close(head(x), expected, rtol=1e-4, atol=1e-5)
        away = layer.mean + 1e6 * layer.scale
        torch.testing.assert_close(head(away[None]), head(1e20 * torch.ones(1, 24)))

    def test_a_support_vector_is_at_distance_zero_from_itself(self) -> None:
        layer = KernelLayer(1000, 50, 1)
        layer.support.uniform_(-REACH, REACH, generator=torch.Generator().manual_seed(0))
        layer.coefficients.fill_(1.0)
        layer.gamma.fill_(1e6)  # makes any distance below 0 explode
        assert layer(layer.support.clone()).max().item() <= 1.0

    def test_nothing_trains_and_everything_is_in_the_state(self) -> None:
        head = filled()
        assert not list(head.parameters())
        names = ("mean", "scale", "support", "gamma", "coefficients", "bias")
        assert sorted(head.state_dict()) == sorted(f"fc.{name}" for name in names)
        other = build_head(24, 3, HeadSpec("rbf", vectors=6)).eval()
        other.load_state_dict(head.state_dict())
        x = torch.randn(4, 24)
        assert torch.equal(other(x), head(x))

    def test_lets_gradients_through_to_the_features(self) -> None:
        x = filled().fc.mean.clone()[None].requires_grad_()
        filled()(x).sum().backward()
        assert x.grad is not None
        assert x.grad.abs().sum() > 0

    def test_a_missing_number_stays_missing(self) -> None:
        x = torch.zeros(2, 24)
        x[1, 3] = math.nan
        logits = filled()(x)
        assert logits[0].isfinite().all()
        assert logits[1].isnan().all()

    def test_is_exported_for_any_number_of_pictures(self) -> None:
        head = filled()
        batch = torch.export.Dim("batch")
        program = torch.export.export(head, (torch.randn(4, 24),), dynamic_shapes=({0: batch},)).module()
        for rows in (2, 9):
            x = torch.randn(rows, 24)
            torch.testing.assert_close(program(x), head(x))

    def test_travels_in_a_model_file(self, tmp_path) -> None:
        backbone, spec = create_backbone("test_resnet", RANDOM)
        width = feature_width(backbone)
        classifier = ImageClassifier(backbone, filled(width), spec).eval()
        card = ModelCard("test_resnet", ("a", "b", "c"), spec, HeadSpec("rbf", vectors=6))
        save_model(tmp_path, classifier, card)
        loaded, read = load_model(tmp_path)
        assert read.head == load_card(tmp_path).head == card.head
        pixels = torch.randint(0, 256, (2, spec.height_px, spec.width_px, 3), dtype=torch.uint8)
        with torch.no_grad():
            assert torch.equal(loaded(pixels), classifier(pixels))
