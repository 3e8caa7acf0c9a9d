"""Folding changes how a network computes and not what it answers."""

import pytest
import torch
from torch import nn

from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.models.backbones import create_backbone, feature_width
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.folding import TOLERANCE, folded
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HeadSpec

PIXELS = torch.randint(0, 256, (5, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def with_statistics(name, size=64):
    """A network whose normalisations have something to say."""
    torch.manual_seed(0)
    backbone, _ = create_backbone(name, input_size=size)
    for module in backbone.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.3, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
    head = build_head(feature_width(backbone), 3, HeadSpec())
    return ImageClassifier(backbone, head, PreprocessSpec(size, size)).eval()


def norms(network):
    return sum(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules())


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("mobilenetv2_100", 0),
        ("test_resnet", 0),
        ("mobilenetv4_conv_small_050", 0),
        ("catsdogs_cnn", 0),
        ("test_byobnet", 0),
        ("test_efficientnet", 0),
        ("densenet121", None),
        ("test_convnext", 0),
        ("test_vit", 0),
    ],
)
def test_answers_stay_and_normalisations_go(name, left):
    classifier = with_statistics(name)
    network = folded(classifier)
    with torch.inference_mode():
        before, after = classifier(PIXELS), network(PIXELS)
    assert (before - after).abs().max() <= 2 * TOLERANCE * max(1, before.abs().max())
    if left is not None:
        assert norms(network) == left
    assert norms(network) <= norms(classifier)


def test_a_head_that_answers_all_alike_hides_no_difference(monkeypatch):
    """What is compared is what the head is given."""
    classifier = with_statistics("test_resnet")
    torch.nn.init.zeros_(classifier.head.fc.weight)
    monkeypatch.setattr("catsdogs.models.folding.fuse_conv_bn_eval", lambda conv, _: conv)
    assert norms(folded(classifier)) == norms(classifier)


def test_the_classifier_itself_is_left_alone():
    classifier = with_statistics("test_resnet")
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    folded(classifier)
    after = classifier.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in classifier.modules())


class Shared(nn.Module):
    """Its convolution is heard twice: by a normalisation, and by the sum behind it."""

    num_features = 4

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        nn.init.uniform_(self.norm.running_mean, 1, 2)

    def forward(self, planes):
        made = self.conv(planes)
        return (self.norm(made) + made).mean((2, 3))


def test_what_cannot_be_folded_is_left_as_it_is():
    classifier = ImageClassifier(Shared(), build_head(4, 2, HeadSpec()), PreprocessSpec(32, 32)).eval()
    network = folded(classifier)
    assert norms(network) == 1
    with torch.inference_mode():
        assert torch.equal(network(PIXELS), classifier(PIXELS))
