"""What is broken before the first epoch is named, and looking leaves no trace."""

import pytest
import torch
from proving import digest, make_classifier, named_plan, pictures

from catsdogs.models.layergroups import layer_groups
from catsdogs.training.checks import Promise, check
from catsdogs.training.freezing import freeze_for_wrapping


@pytest.fixture
def batch():
    """Pixels like those of photos: normalised, they are near 0 and 1."""
    noise = torch.Generator().manual_seed(0)
    pixels = (torch.randn(12, 32, 32, 3, generator=noise) * 57 + 118).clamp(0, 255).to(torch.uint8)
    return pixels, torch.arange(12) % 2


def ready(name="finetune_full", family="resnet", **options):
    """A classifier as training begins with it."""
    classifier = make_classifier(family, **options)
    plan = named_plan(name, classifier)
    freeze_for_wrapping(classifier, layer_groups(classifier.backbone), plan)
    return classifier


def warnings(classifier, batch, promise=None):
    return check(classifier, batch, batch, promise=promise).warnings


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("finetune_full", "efficientnet"),
        ("finetune_full", "nfnet"),
        ("finetune_top", "resnet"),
        ("norm_and_bias", "convnext"),
        ("from_scratch", "vit"),
    ],
)
def test_ordinary_networks_pass(family, name, batch):
    classifier = ready(name, family)
    found = check(classifier, batch, batch, promise=None)
    assert found.warnings == ()
    assert found.summary.startswith("checks: inputs have mean")
    assert "gradients reach all" in found.summary


def test_nothing_can_tell_that_they_ran(batch):
    classifier = ready("from_scratch")
    before, state = digest(classifier), torch.get_rng_state()
    modes = [module.training for module in classifier.modules()]
    check(classifier, batch, batch, promise=None)
    assert digest(classifier) == before
    assert torch.equal(torch.get_rng_state(), state)
    assert modes == [module.training for module in classifier.modules()]
    assert all(parameter.grad is None for parameter in classifier.parameters())


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda c: c.scale.mul_(255), id="pixels stay in [0, 255]"),
        pytest.param(lambda c: c.scale.div_(255), id="pixels are scaled twice"),
        pytest.param(lambda c: c.scale.mul_(10), id="a tenth of the right std"),
        pytest.param(lambda c: c.shift.sub_(3), id="another mean"),
        pytest.param(lambda c: c.shift.fill_(torch.nan), id="no number"),
    ],
)
def test_wrong_normalisation_is_named(spoil, batch):
    classifier = ready()
    spoil(classifier)
    assert "pictures reach the network with mean" in warnings(classifier, batch)[0]


def test_a_fresh_head_that_starts_too_large_is_named(batch):
    classifier = ready()
    with torch.no_grad():
        classifier.head.fc.weight.mul_(1e4)
    assert "first loss of a fresh head" in warnings(classifier, batch)[0]


def test_a_head_that_does_not_keep_its_probes_promise_is_named(batch):
    classifier = ready()
    promise = Promise(log_loss=0.05, error=0.01, pictures=200)
    assert "the head's probe had 0.050" in warnings(classifier, batch, promise)[0]
    assert warnings(classifier, batch, Promise(log_loss=0.69, error=0.01, pictures=200)) == ()


def test_a_promise_is_only_that_of_a_head_that_came_from_the_probe():
    probe = {"log_loss": 0.1, "log_loss_error": None, "pictures": 4}
    assert Promise.from_plan({"probe": probe}, "linear") == Promise(0.1, 0.0, 4)
    assert Promise.from_plan({"probe": probe}, "mlp") is None
    assert Promise.from_plan({}, "linear") is None
    assert Promise.from_plan({"probe": {**probe, "log_loss": None}}, "linear") is None


def test_a_detached_layer_is_named(batch):
    classifier = ready()
    classifier.backbone.layer2.register_forward_hook(lambda _, __, output: output.detach())
    (line,) = warnings(classifier, batch)
    assert "no gradient reaches" in line
    assert "backbone.conv1" in line


def test_a_dead_layer_is_named_and_a_branch_that_starts_at_zero_is_not(batch):
    classifier = ready(dropout=0.0)
    with torch.no_grad():
        for block in (classifier.backbone.layer2[0], classifier.backbone.layer3[0]):
            block.bn2.weight.zero_()  # as fresh residual networks begin
            block.bn2.bias.zero_()
    assert warnings(classifier, batch) == ()
    with torch.no_grad():
        classifier.backbone.layer3[0].bn1.bias.fill_(-100)
    assert "layer3.0" in warnings(classifier, batch)[0]


def test_cached_features_are_no_pictures(batch):
    classifier = ready("linear_probe")
    rows = torch.randn(8, classifier.head.fc.in_features), torch.arange(8) % 2
    found = check(classifier, rows, rows, promise=None)
    assert "inputs" not in found.summary
    assert found.warnings == ()


def test_every_number_of_pictures_in_reach():
    classifier = ready()
    pixels, labels = pictures(classifier)
    found = check(
        classifier,
        (pixels[:1], torch.tensor(labels[:1])),
        (torch.empty(0), torch.empty(0, dtype=torch.long)),
        promise=Promise(0.1, 0.0, 50),
    )
    assert "first loss" not in found.summary
