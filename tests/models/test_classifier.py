import pytest
import torch
from timm.layers import EvoNorm2dB0
from torchvision.transforms import v2

from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.models.backbones import create_backbone, feature_width
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HeadSpec

SPEC = PreprocessSpec(32, 48, mean=(0.1, 0.5, 0.9), std=(0.2, 0.3, 0.4))


@pytest.fixture
def classifier() -> ImageClassifier:
    torch.manual_seed(0)
    backbone = create_backbone("test_efficientnet")[0]
    return ImageClassifier(backbone, build_head(feature_width(backbone), 3, HeadSpec()), SPEC).eval()


@pytest.fixture
def pixels() -> torch.Tensor:
    return torch.randint(
        0, 256, (4, 32, 48, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )


class TestNormalize:
    def test_equals_torchvision(self, classifier: ImageClassifier, pixels: torch.Tensor) -> None:
        planes = v2.functional.to_dtype(pixels.permute(0, 3, 1, 2), torch.float32, scale=True)
        expected = v2.Normalize(SPEC.mean, SPEC.std)(planes)
        torch.testing.assert_close(classifier.normalize(pixels), expected, rtol=0, atol=1e-6)

    def test_every_shade_of_every_channel(self, classifier: ImageClassifier) -> None:
        shades = torch.arange(256, dtype=torch.uint8).view(1, 256, 1, 1).expand(1, 256, 1, 3)
        for channel, (mean, std) in enumerate(zip(SPEC.mean, SPEC.std, strict=True)):
            expected = (torch.arange(256, dtype=torch.float64) / 255 - mean) / std
            actual = classifier.normalize(shades)[0, channel, :, 0].double()
            torch.testing.assert_close(actual, expected, rtol=0, atol=1e-6)

    def test_is_rounded_to_the_input_type_only_at_the_end(self, classifier, pixels) -> None:
        exact = classifier.normalize(pixels)
        classifier.input_dtype = torch.bfloat16
        assert torch.equal(classifier.normalize(pixels), exact.bfloat16())


class TestImageClassifier:
    def test_logits_are_the_heads_of_the_features(self, classifier, pixels) -> None:
        features = classifier.features(pixels)
        assert features.shape == (4, feature_width(classifier.backbone))
        assert features.dtype == torch.float32
        assert torch.equal(classifier(pixels), classifier.head(features))

    def test_memory_format_changes_no_result(self, classifier, pixels) -> None:
        with torch.no_grad():
            planes = classifier(pixels)
            classifier.set_channels_last(True)
            assert classifier.normalize(pixels).is_contiguous(memory_format=torch.channels_last)
            torch.testing.assert_close(classifier(pixels), planes, rtol=0, atol=1e-5)
            classifier.set_channels_last(False)
            assert classifier.normalize(pixels).is_contiguous()
            assert torch.equal(classifier(pixels), planes)

    def test_normalisation_is_not_among_the_weights(self, classifier: ImageClassifier) -> None:
        parts = {key.partition(".")[0] for key in classifier.state_dict()}
        assert parts == {"backbone", "head"}

    def test_a_gradient_reaches_the_first_layer(self, classifier, pixels) -> None:
        classifier(pixels).sum().backward()
        first = next(classifier.backbone.parameters())
        assert first.grad is not None
        assert first.grad.abs().sum() > 0


class TestFrozenStatistics:
    def test_training_mode_neither_uses_nor_updates_batch_statistics(self, classifier, pixels) -> None:
        expected = classifier.eval()(pixels)
        before = {name: value.clone() for name, value in classifier.backbone.named_buffers()}
        classifier.frozen_statistics = True
        torch.testing.assert_close(classifier.train()(pixels), expected)
        for name, value in classifier.backbone.named_buffers():
            assert torch.equal(value, before[name]), name

    def test_layers_that_are_not_batch_norm_keep_theirs_too(self) -> None:
        norm = EvoNorm2dB0(3)
        head = build_head(3, 2, HeadSpec())
        network = torch.nn.Sequential(norm, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
        classifier = ImageClassifier(network, head, SPEC)
        classifier.frozen_statistics = True
        before = norm.running_var.clone()
        network(torch.randn(4, 3, 8, 8))
        assert not torch.equal(norm.running_var, before)
        before = norm.running_var.clone()
        classifier.train()
        network(torch.randn(4, 3, 8, 8))
        assert torch.equal(norm.running_var, before)

    def test_without_it_they_move(self, classifier, pixels) -> None:
        before = {name: value.clone() for name, value in classifier.backbone.named_buffers()}
        classifier.train()(pixels)
        moved = [n for n, v in classifier.backbone.named_buffers() if not torch.equal(v, before[n])]
        assert moved

    def test_scales_and_shifts_still_learn(self, classifier, pixels) -> None:
        classifier.frozen_statistics = True
        classifier.train()(pixels).sum().backward()
        norms = [m for m in classifier.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        assert norms
        assert all(norm.weight.grad is not None for norm in norms)


class TestSetTrainable:
    def freeze(self, classifier, *beginnings):
        named = dict(classifier.backbone.named_parameters())
        classifier.set_trainable([name for name in named if name.startswith(beginnings)])
        return classifier.train()

    def test_only_what_is_named_and_the_head_require_gradients(self, classifier) -> None:
        self.freeze(classifier, "blocks.4", "conv_head")
        training = {name for name, p in classifier.named_parameters() if p.requires_grad}
        assert training
        assert all(name.startswith(("backbone.blocks.4", "backbone.conv_head", "head")) for name in training)
        assert {"head.fc.weight", "head.fc.bias"} <= training

    def test_frozen_modules_stay_in_evaluation_mode_however_often_modes_are_set(self, classifier) -> None:
        self.freeze(classifier, "blocks.4").eval()
        classifier.train()
        backbone = classifier.backbone
        assert not any(m.training for block in list(backbone.blocks)[:4] for m in block.modules())
        assert all(module.training for module in backbone.blocks[4].modules())
        assert classifier.head.training

    def test_unfreezing_brings_training_mode_back(self, classifier) -> None:
        self.freeze(classifier, "blocks.4")
        self.freeze(classifier, "")
        assert all(module.training for module in classifier.modules())

    def test_all_frozen_computes_what_evaluation_computes(self, classifier, pixels) -> None:
        expected = classifier.eval().features(pixels)
        assert torch.equal(self.freeze(classifier, "nothing").features(pixels), expected)

    def test_a_module_without_parameters_goes_with_what_holds_it_or_with_the_layer_before(self) -> None:
        frozen_block = torch.nn.Sequential(torch.nn.Dropout(), torch.nn.Linear(4, 4), torch.nn.Dropout())
        backbone = torch.nn.Sequential(
            torch.nn.Dropout(), torch.nn.Linear(4, 4), torch.nn.Dropout(), frozen_block, torch.nn.Dropout()
        )
        classifier = ImageClassifier(backbone, build_head(4, 2, HeadSpec()), SPEC)
        self.freeze(classifier, "1.")
        modes = [backbone[place].training for place in (0, 1, 2, 4)]
        assert modes == [True, True, True, False]
        assert not any(module.training for module in frozen_block.modules())
        self.freeze(classifier, "3.")
        assert [backbone[place].training for place in (0, 1, 2, 4)] == [False, False, False, True]
        assert all(module.training for module in frozen_block[1:].modules())
