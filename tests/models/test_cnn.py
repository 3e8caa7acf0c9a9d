"""``catsdogs_cnn``: what each of its options changes. It is also one of ``families``."""

import json
import math

import pytest
import timm
import torch
from torch import nn
from torch.nn import functional as F

from catsdogs.core.errors import ModelError
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.models.activations import Maxout
from catsdogs.models.backbones import HUB, create_backbone, feature_width
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HeadSpec
from catsdogs.models.modelcard import CARD, ModelCard
from catsdogs.models.modelfile import load_model, save_model
from catsdogs.models.networkspec import ACTIVATIONS, CNN, NetworkSpec

PLANES = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
SMALL = {"width": 4}


def make(seed=0, drop_path_rate=0.0, **options):
    torch.manual_seed(seed)
    return timm.create_model(CNN, num_classes=0, drop_path_rate=drop_path_rate, **{**SMALL, **options})


def learned(network):
    return sum(parameter.numel() for parameter in network.parameters())


def norms(network):
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


class TestSize:
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"width": 7},
            {"depth": 3},
            {"batch_norm": False},
            {"residual": False},
            {"activation": "maxout"},
            {"activation": "maxout", "depth": 2, "batch_norm": False, "residual": False},
        ],
    )
    def test_the_spec_knows_the_parameters_beforehand(self, options):
        assert learned(make(**options)) == NetworkSpec(**{**SMALL, **options}).parameters

    def test_grows_with_the_square_of_the_width_and_with_the_depth(self):
        sizes = [learned(make(width=width)) for width in (8, 16)]
        assert sizes[1] / sizes[0] == pytest.approx(4, rel=0.03)
        depths = [learned(make(width=16, depth=depth)) for depth in (1, 2, 3)]
        assert depths[2] - depths[1] == depths[1] - depths[0]
        assert depths[1] - depths[0] == pytest.approx(1530 * 16**2, rel=0.02)

    def test_maps_halve_and_channels_double(self):
        maps = make(width=4).forward_intermediates(PLANES, intermediates_only=True)
        shapes = [tuple(one.shape[1:]) for one in maps]
        assert shapes == [(4, 16, 16), (4, 16, 16), (8, 8, 8), (16, 4, 4), (32, 2, 2)]
        assert [info["num_chs"] for info in make(width=4).feature_info] == [4, 4, 8, 16, 32]
        assert [32 // info["reduction"] for info in make().feature_info] == [16, 16, 8, 4, 2]


class TestOptions:
    def test_without_batch_norm_there_is_no_norm_and_the_convolutions_have_biases(self):
        network = make(batch_norm=False)
        assert not [module for module in network.modules() if "Norm" in type(module).__name__]
        convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
        assert all(convolution.bias is not None for convolution in convolutions)
        assert len(norms(make())) == len(convolutions)

    def test_a_residual_block_adds_its_input_to_a_part_of_its_output(self):
        block, plain = make(depth=2).stages[0][2].eval(), make(depth=2, residual=False).stages[0][2].eval()
        plain.load_state_dict(block.state_dict())
        maps = torch.rand(2, 4, 8, 8)
        with torch.no_grad():
            branch = plain.conv2(plain.act1(plain.conv1(maps)))
            torch.testing.assert_close(plain(maps), F.relu(branch))
            torch.testing.assert_close(block(maps), F.relu(maps + branch / math.sqrt(8)))

    def test_a_maxout_block_adds_its_input_to_every_piece(self):
        block = make(depth=2, activation="maxout").stages[0][2].eval()
        maps = torch.rand(2, 4, 8, 8)
        with torch.no_grad():
            branch = block.conv2(block.act1(block.conv1(maps))) / math.sqrt(8)
            torch.testing.assert_close(block(maps), maps + torch.maximum(branch[:, :4], branch[:, 4:]))

    @pytest.mark.parametrize("activation", ACTIVATIONS)
    def test_the_activation_is_the_one_asked_for(self, activation):
        network = make(activation=activation).eval()
        kinds = {type(module).__name__.lower() for module in network.modules()}
        assert activation.replace("_", "") in kinds
        assert ("relu" in kinds) == (activation == "relu")
        assert network(PLANES).shape == (4, 32)

    def test_dropout_drops_whole_maps_in_training_alone(self):
        network = make(dropout=0.5)
        kept = []
        network.stages[3][1].dropout.register_forward_hook(lambda *passed: kept.append(passed[-1]))
        network.train()(PLANES)
        dropped = (kept[0] == 0).all(dim=(2, 3)).float().mean().item()
        assert dropped == pytest.approx(0.5, abs=0.2)
        network.eval()
        assert torch.equal(network(PLANES), network(PLANES))

    def test_stochastic_depth_drops_branches_more_often_towards_the_top(self):
        network = make(depth=2, drop_path_rate=0.4)
        rates = [module.p for module in network.modules() if type(module).__name__ == "StochasticDepth"]
        assert rates == pytest.approx([0.4 * (number + 1) / 8 for number in range(8)])
        block = make(depth=2, drop_path_rate=0.999).stages[3][2].train()
        maps = torch.rand(2, 32, 2, 2)
        torch.testing.assert_close(block(maps), maps)

    def test_without_residuals_there_is_no_stochastic_depth(self):
        with pytest.raises(ModelError, match="has no stochastic depth; leave it at 0"):
            make(residual=False, drop_path_rate=0.1)

    @pytest.mark.parametrize("activation", ACTIVATIONS)
    @pytest.mark.parametrize("options", [{}, {"batch_norm": False}, {"residual": False, "batch_norm": False}])
    def test_the_first_loss_is_that_of_a_guess(self, activation, options):
        torch.manual_seed(0)
        network = timm.create_model(CNN, num_classes=10, depth=2, activation=activation, **SMALL, **options)
        with torch.no_grad():
            loss = F.cross_entropy(network(PLANES), torch.arange(4))
        assert loss.item() == pytest.approx(math.log(10), abs=0.15)

    @pytest.mark.parametrize("options", [{}, {"batch_norm": False}, {"residual": False}, {"depth": 2}])
    def test_a_gradient_reaches_every_tensor_at_the_first_step(self, options):
        network = make(**options)
        network(PLANES).square().sum().backward()
        assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []

    def test_maxout_is_ours(self):
        assert any(isinstance(module, Maxout) for module in make(activation="maxout").modules())


class TestAsTimmKnowsIt:
    def test_a_classifier_can_be_put_on_and_taken_off(self):
        network = timm.create_model(CNN, num_classes=7, **SMALL)
        assert network(PLANES).shape == (4, 7)
        network.reset_classifier(0)
        assert network(PLANES).shape == (4, network.num_features)
        assert learned(network) == NetworkSpec(**SMALL).parameters

    def test_features_only_gives_stem_and_stages(self):
        network = timm.create_model(CNN, features_only=True, **SMALL)
        assert [maps.shape[1] for maps in network(PLANES)] == network.feature_info.channels()

    @pytest.mark.parametrize("size", [16, 33, 100])
    def test_works_at_other_sizes(self, size):
        backbone, spec = create_backbone(CNN, input_size=size)
        assert backbone.eval()(torch.zeros(1, 3, spec.height_px, spec.width_px)).shape == (1, 128)

    def test_a_size_with_nothing_left_at_the_top_is_refused(self):
        with pytest.raises(ModelError, match="cannot work at 8x8 px"):
            create_backbone(CNN, input_size=8)

    def test_there_are_no_weights_to_fetch(self):
        with pytest.raises(ModelError, match="no weights of catsdogs_cnn to fetch: give a local file"):
            create_backbone(CNN, HUB)

    def test_no_other_backbone_takes_its_options(self):
        with pytest.raises(ModelError, match="test_resnet is made as timm makes it"):
            create_backbone("test_resnet", network=NetworkSpec())


OPTIONS = NetworkSpec(width=3, depth=2, batch_norm=False, dropout=0.1, activation="elu")


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    backbone, _ = create_backbone(CNN, network=OPTIONS)
    head = build_head(feature_width(backbone), 2, HeadSpec("mlp", hidden=5, activation="maxout"))
    spec = PreprocessSpec(32, 32)
    classifier = ImageClassifier(backbone, head, spec).eval()
    card = ModelCard(
        CNN, ("cat", "dog"), spec, HeadSpec("mlp", hidden=5, activation="maxout"), network=OPTIONS
    )
    save_model(tmp_path, classifier, card)
    return tmp_path, classifier, card


class TestModelFile:
    def test_holds_the_options(self, saved):
        folder, classifier, card = saved
        loaded, read = load_model(folder)
        assert read == card
        pixels = torch.randint(0, 256, (3, 32, 32, 3), dtype=torch.uint8)
        with torch.no_grad():
            assert torch.equal(loaded(pixels), classifier(pixels))

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"width": 10**9}, "a width from 1 to 512, not 1000000000"),
            ({"width": 0}, "width"),
            ({"width": 3.0}, "width"),
            ({"width": True}, "width"),
            ({"width": "3"}, "width"),
            ({"width": None}, "width"),
            ({"depth": 10**6}, "a depth from 1 to 64"),
            ({"depth": [1]}, "depth"),
            ({"width": 512, "depth": 8}, "67,108,864 are the most"),
            ({"batch_norm": 1}, "true or false"),
            ({"residual": "yes"}, "true or false"),
            ({"dropout": 1.0}, "dropout"),
            ({"dropout": math.nan}, "dropout"),
            ({"dropout": "0.1"}, "dropout"),
            ({"dropout": False}, "dropout"),
            ({"activation": "swish"}, "'swish' is not one of"),
            ({"activation": ["relu"]}, "is not one of"),
            ({"layers": 3}, "layers"),
            ({"width": 4}, "does not fit catsdogs_cnn"),
            ({"batch_norm": True}, "does not fit catsdogs_cnn"),
        ],
    )
    def test_damaged_or_huge_options_are_refused(self, saved, changes, said):
        folder, _, card = saved
        self.rewrite(folder, network={**card.network.to_dict(), **changes})
        with pytest.raises(ModelError, match=said):
            load_model(folder)

    @pytest.mark.parametrize("network", [5, "wide", [3, 2]])
    def test_options_of_another_kind_are_refused(self, saved, network):
        self.rewrite(saved[0], network=network)
        with pytest.raises(ModelError, match="the network is not valid"):
            load_model(saved[0])

    def test_options_of_another_backbone_are_refused(self, saved):
        self.rewrite(saved[0], backbone="test_resnet")
        with pytest.raises(ModelError, match="test_resnet is made as timm makes it"):
            load_model(saved[0])

    @staticmethod
    def rewrite(folder, **changes):
        values = json.loads((folder / CARD).read_text())
        (folder / CARD).write_text(json.dumps({**values, **changes}))
