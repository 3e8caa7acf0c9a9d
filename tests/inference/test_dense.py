"""Dense inference against sliding the network over the picture by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from catsdogs.core.errors import ConfigError
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.inference.dense import dense_scores, require_dense
from catsdogs.models.backbones import create_backbone, feature_width
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HeadSpec
from catsdogs.models.modelcard import ModelCard

NAMES = ("cat", "dog", "fox")


class WithoutPadding(nn.Module):
    """Three convolutions that never look beyond the picture; stride 4, and 29 px in see 5 x 5 positions."""

    num_features = 8

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, stride=2),
            nn.ReLU(),
            nn.Conv2d(8, 8, 2),
        )

    def forward_features(self, planes: torch.Tensor) -> torch.Tensor:
        return self.layers(planes)

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        return self.forward_features(planes).mean((2, 3))


def classifier_of(backbone: nn.Module, spec: PreprocessSpec, head: HeadSpec | None = None):
    torch.manual_seed(1)
    built = build_head(feature_width(backbone), 3, head or HeadSpec())
    for layer in built.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight)
    card = ModelCard("test", NAMES, spec, head=head or HeadSpec(), temperature=2.0)
    return ImageClassifier(backbone, built, spec).eval(), card


def timm_classifier(name: str, head: HeadSpec | None = None, size: int = 64):
    torch.manual_seed(0)
    return classifier_of(*create_backbone(name, input_size=size), head)


def noise(height: int, width: int) -> np.ndarray:
    smooth = np.random.default_rng(0).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    return smooth.repeat(8, 0).repeat(8, 1)[:height, :width]


def slide(classifier: ImageClassifier, pixels: np.ndarray, side: int, stride: int) -> np.ndarray:
    """Logits (h, w, C) of the classifier itself, wherever its input fits into the picture."""
    rows = [
        [pixels[y : y + side, x : x + side] for x in range(0, pixels.shape[1] - side + 1, stride)]
        for y in range(0, pixels.shape[0] - side + 1, stride)
    ]
    with torch.inference_mode():
        return np.stack([classifier(torch.from_numpy(np.stack(row))).numpy() for row in rows])


def test_without_padding_it_is_sliding_the_network_exactly() -> None:
    torch.manual_seed(0)
    classifier, card = classifier_of(WithoutPadding(), PreprocessSpec(29, 29))
    require_dense(classifier, card, 58)
    pixels = noise(61, 85)
    found = dense_scores(classifier, card, pixels)
    expected = slide(classifier, pixels, 29, 4) / card.temperature
    assert found.windows.shape == expected.shape == (9, 15, 3)
    np.testing.assert_allclose(found.windows, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    assert expected.std(axis=(0, 1)).min() > 0.01  # places differ


def test_the_mean_of_the_map_is_what_the_classifier_says_of_the_larger_picture() -> None:
    classifier, card = timm_classifier("test_resnet")
    pixels = noise(128, 160)
    found = dense_scores(classifier, card, pixels)
    with torch.inference_mode():
        whole = classifier(torch.from_numpy(pixels[None]))[0].numpy() / card.temperature
    np.testing.assert_allclose(found.pooled, whole, rtol=0, atol=1e-4 * np.abs(whole).max())
    np.testing.assert_allclose(found.local.mean((0, 1)), found.pooled, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet"])
def test_with_padding_it_comes_near(name: str) -> None:
    """A crop has zeros around it where the larger picture goes on: so near (0.75 and more), and no nearer."""
    classifier, card = timm_classifier(name)
    pixels = noise(192, 192)
    found = dense_scores(classifier, card, pixels)
    cells = found.local.shape[0] - found.windows.shape[0] + 1
    expected = slide(classifier, pixels, 64, 64 // cells) / card.temperature
    assert found.windows.shape == expected.shape
    together = np.corrcoef(found.windows.ravel(), expected.ravel())[0, 1]
    assert 0.7 < together < 0.999


def test_a_picture_of_the_networks_own_size_is_one_window() -> None:
    classifier, card = timm_classifier("test_resnet")
    found = dense_scores(classifier, card, noise(64, 64))
    assert found.windows.shape == (1, 1, 3)
    np.testing.assert_allclose(found.windows[0, 0], found.pooled, rtol=0, atol=1e-5)


class TestRefusals:
    @pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_byobnet", "catsdogs_cnn"])
    def test_convolutional_networks_with_an_average_and_a_linear_head_are_let_in(self, name: str) -> None:
        classifier, card = timm_classifier(name)
        require_dense(classifier, card, 96)
        assert dense_scores(classifier, card, noise(96, 96)).windows.shape[2] == 3

    @pytest.mark.parametrize("name", ["test_vit", "test_mambaout", "test_convnext"])
    def test_networks_with_more_than_an_average_above_the_map(self, name: str) -> None:
        classifier, card = timm_classifier(name)
        with pytest.raises(ConfigError, match="has no dense views: its features") as caught:
            require_dense(classifier, card, 96)
        assert "\n" not in str(caught.value)

    def test_heads_that_are_not_linear(self) -> None:
        with pytest.raises(ConfigError, match=r"its head \(mlp\) is not linear"):
            require_dense(*timm_classifier("test_resnet", HeadSpec("mlp", hidden=4)), 96)

    def test_heads_on_other_stages(self) -> None:
        classifier, card = timm_classifier("test_resnet")
        lower = ModelCard("test_resnet", NAMES, card.preprocess, stages=("3",))
        with pytest.raises(ConfigError, match="its head sits on stage 3"):
            require_dense(classifier, lower, 96)
