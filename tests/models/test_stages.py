"""Stages of backbones of many families, against what timm itself gives."""

import copy

import pytest
import torch
from families import FAMILIES, NAMES, small_backbone

from catsdogs.core.errors import ModelError
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.models.backbones import create_backbone
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HeadSpec
from catsdogs.models.modelcard import TOP, ModelCard
from catsdogs.models.modelfile import cut_backbone, load_model, save_model
from catsdogs.models.stages import Stage, check_stages, drop_unused_layers, find_stages, stage_features

SPEC = PreprocessSpec(64, 64)


@pytest.fixture(scope="module", params=FAMILIES)
def backbone(request):
    torch.manual_seed(0)
    return small_backbone(request.param).eval()


@pytest.fixture(scope="module")
def planes():
    return torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_features_of_all_stages_are_timms_intermediates_and_its_own_top(backbone, planes):
    stages = find_stages(backbone, SPEC)
    parts = stage_features(backbone, planes, [stage.name for stage in stages]).split(
        [stage.width for stage in stages], dim=1
    )
    maps = backbone.forward_intermediates(planes, intermediates_only=True)
    assert stages[-1] == Stage(TOP, 64, parts[-1].shape[1])
    assert len(stages) > 3
    assert torch.equal(parts[-1], backbone(planes))
    for stage, features in zip(stages[:-1], parts, strict=False):
        plane = maps[int(stage.name) - 1]
        assert torch.equal(features, plane.mean((2, 3)))
        assert stage.stride == 64 // plane.shape[-1]


@torch.no_grad()
def test_each_stage_alone_says_what_it_says_among_others(backbone, planes):
    stages = find_stages(backbone, SPEC)
    together = stage_features(backbone, planes, [stage.name for stage in stages])
    alone = [stage_features(backbone, planes, [stage.name]) for stage in stages]
    assert torch.equal(torch.cat(alone, dim=1), together)


@torch.no_grad()
def test_dropping_layers_leaves_the_kept_stages_bit_equal(backbone, planes):
    stages = find_stages(backbone, SPEC)
    sizes = []
    for kept in (1, 2, len(stages) - 1):
        names = [stage.name for stage in stages[:kept]]
        cut = copy.deepcopy(backbone)
        drop_unused_layers(cut, names)
        assert torch.equal(stage_features(cut, planes, names), stage_features(backbone, planes, names))
        sizes.append(sum(parameter.numel() for parameter in cut.parameters()))
    whole = sum(parameter.numel() for parameter in backbone.parameters())
    assert sizes == sorted(sizes)
    assert sizes[1] < whole
    assert sizes[-1] <= whole


def test_top_needs_every_layer(backbone):
    cut = copy.deepcopy(backbone)
    drop_unused_layers(cut, ["1", TOP])
    assert cut.state_dict().keys() == backbone.state_dict().keys()


def test_finding_leaves_backbone_and_random_numbers_as_they_were(backbone):
    fresh = copy.deepcopy(backbone).train()
    before = copy.deepcopy(fresh.state_dict())
    torch.manual_seed(3)
    find_stages(fresh, SPEC)
    drawn = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(1))
    assert fresh.training
    assert all(torch.equal(value, before[name]) for name, value in fresh.state_dict().items())


@pytest.mark.parametrize("name", NAMES)
def test_a_model_file_with_an_earlier_stage_gives_equal_logits(name, tmp_path):
    torch.manual_seed(0)
    backbone, spec = create_backbone(name, input_size=64)
    stages = tuple(stage.name for stage in find_stages(backbone, spec)[1:3])
    head = build_head(cut_backbone(backbone, spec, stages), 2, HeadSpec())
    classifier = ImageClassifier(backbone, head, spec, stages).eval()
    save_model(tmp_path, classifier, ModelCard(name, ("cat", "dog"), spec, stages=stages))
    loaded, card = load_model(tmp_path)
    pixels = torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8)
    assert card.stages == stages
    with torch.no_grad():
        assert torch.equal(loaded(pixels), classifier(pixels))


def test_a_stage_that_random_weights_hide_can_be_loaded(tmp_path):
    """A fresh SwiftFormer ends in a BatchNorm that changes nothing: stage 4 and top are then the same."""
    torch.manual_seed(0)
    backbone, spec = create_backbone("swiftformer_xs")
    assert "4" not in [stage.name for stage in find_stages(backbone, spec)]
    with torch.no_grad():
        backbone.norm.bias += 1
    assert "4" in [stage.name for stage in find_stages(backbone, spec)]
    head = build_head(cut_backbone(backbone, spec, ("4",)), 2, HeadSpec())
    classifier = ImageClassifier(backbone, head, spec, ("4",))
    save_model(tmp_path, classifier, ModelCard("swiftformer_xs", ("cat", "dog"), spec, stages=("4",)))
    assert load_model(tmp_path)[1].stages == ("4",)


class TestCheckStages:
    KNOWN = (Stage("1", 4, 8), Stage("2", 8, 16), Stage(TOP, 64, 16))

    def test_puts_them_in_the_order_of_the_network(self):
        assert check_stages([TOP, "1"], self.KNOWN) == ("1", TOP)

    @pytest.mark.parametrize(("names", "said"), [(["3"], "stage 3 is not one of 1, 2, top"), ([], "none")])
    def test_names_what_there_is(self, names, said):
        with pytest.raises(ModelError, match=said):
            check_stages(names, self.KNOWN)


def test_a_network_without_intermediates_has_its_top_alone():
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    assert find_stages(network, SPEC) == (Stage(TOP, 64, 5),)
    assert stage_features(network, torch.zeros(2, 3, 64, 64), (TOP,)).shape == (2, 5)
