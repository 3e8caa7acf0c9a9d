import copy
import threading

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from catsdogs.core.errors import ConfigError
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.models.backbones import create_backbone, feature_width
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.execution import PRECISIONS, Execution, Runner, best_device
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HeadSpec

# One of each normalisation: batch, layer, group, and none with standardised weights.
NETWORKS = ("test_resnet", "test_vit", "test_efficientnet_gn", "test_nfnet")


def classifier(name: str = "test_resnet") -> ImageClassifier:
    torch.manual_seed(0)
    backbone, spec = create_backbone(name, input_size=32)
    for module in backbone.modules():
        if isinstance(module, torch.nn.modules.batchnorm._NormBase):
            torch.nn.init.normal_(module.running_mean, std=0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
    return ImageClassifier(backbone, build_head(feature_width(backbone), 3, HeadSpec()), spec)


def normalising_first() -> ImageClassifier:
    """Return a classifier whose normalisation stands before its convolution and cannot be folded into it."""
    backbone = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    backbone.num_features = 4  # type: ignore[assignment]
    return ImageClassifier(backbone, build_head(4, 2, HeadSpec()), PreprocessSpec(32, 32))


@pytest.fixture
def pixels() -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (11, 32, 32, 3), dtype=np.uint8)


class TestRunner:
    @pytest.mark.parametrize("precision", PRECISIONS)
    def test_a_pictures_logits_do_not_depend_on_its_neighbours(self, precision: str, pixels) -> None:
        runner = Runner(classifier(), Execution(precision=precision, batch_size=4))
        together = runner.logits(pixels)
        alone = np.concatenate([runner.logits(pixels[i : i + 1]) for i in range(len(pixels))])
        order = np.random.default_rng(1).permutation(len(pixels))
        assert together.shape == (11, 3)
        tolerance = 1e-6 if precision == "fp32" else 1e-3
        np.testing.assert_allclose(alone, together, rtol=0, atol=tolerance)
        np.testing.assert_allclose(runner.logits(pixels[order]), together[order], rtol=0, atol=tolerance)

    @pytest.mark.parametrize("threads", [1, 2, 5])
    def test_batches_side_by_side_say_the_same_in_order(self, threads: int, pixels) -> None:
        runner = Runner(classifier(), Execution(batch_size=2))
        pieces = np.split(pixels, [1, 4, 5, 9])
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            answers = list(runner.stream(iter(pieces)))
            features = list(runner.feature_stream(iter(pieces)))
            assert torch.get_num_threads() == threads
            begun: list[int] = []
            thread = threading.Thread(target=lambda: begun.append(torch.get_num_threads()))
            thread.start()
            thread.join()
            assert begun == [threads]  # nothing of it is left for later work
        finally:
            torch.set_num_threads(before)
        for found, expected in ((answers, runner.logits), (features, runner.features)):
            assert [len(one) for one in found] == [1, 3, 1, 4, 2]
            np.testing.assert_allclose(np.concatenate(found), expected(pixels), rtol=0, atol=1e-5)

    def test_larger_pictures_are_fewer_at_once(self) -> None:
        runner = Runner(classifier(), Execution(batch_size=8))
        larger = runner.for_size(64, 64)
        assert [one.batch_size for one in (runner, larger, runner.for_size(512, 512))] == [8, 2, 1]
        assert runner.for_size(16, 16).batch_size == 8
        big = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
        np.testing.assert_allclose(larger.logits(big), runner.logits(big), rtol=0, atol=1e-5)

    def test_equals_the_classifier_itself(self, pixels) -> None:
        model = classifier().eval()
        with torch.no_grad():
            expected = model(torch.from_numpy(pixels)).numpy()
        for channels_last in (False, True):
            runner = Runner(model, Execution(channels_last=channels_last, batch_size=4))
            np.testing.assert_allclose(runner.logits(pixels), expected, rtol=0, atol=1e-5)

    @pytest.mark.parametrize("name", NETWORKS)
    def test_bf16_is_near_fp32(self, name: str, pixels) -> None:
        model = classifier(name)
        exact = Runner(model, Execution(batch_size=4)).features(pixels)
        rounded = Runner(model, Execution(precision="bf16", batch_size=4)).features(pixels)
        assert rounded.dtype == np.float32
        assert not np.array_equal(exact, rounded)
        assert np.sqrt(np.mean((rounded - exact) ** 2)) < 0.05 * exact.std()

    def test_statistics_of_batch_normalisation_keep_their_digits(self) -> None:
        runner = Runner(normalising_first(), Execution(precision="bf16"))
        state = runner._classifier.state_dict()
        assert state["backbone.0.running_var"].dtype == torch.float32
        assert state["backbone.1.weight"].dtype == torch.bfloat16
        assert state["head.fc.weight"].dtype == torch.float32

    def test_works_in_evaluation_mode_on_a_copy(self, pixels) -> None:
        model = classifier().train()
        before = copy.deepcopy(model.state_dict())
        runner = Runner(model, Execution(precision="bf16", batch_size=4))
        assert np.array_equal(runner.logits(pixels), runner.logits(pixels))
        assert model.training
        assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
        assert all(value.dtype == before[key].dtype for key, value in model.state_dict().items())
        assert model.input_dtype is None

    def test_features_are_those_before_the_head(self, pixels) -> None:
        model = classifier()
        features = Runner(model, Execution(batch_size=4)).features(pixels)
        assert features.shape == (11, feature_width(model.backbone))
        with torch.no_grad():
            logits = model.head.eval()(torch.from_numpy(features)).numpy()
        np.testing.assert_allclose(Runner(model, Execution(batch_size=4)).logits(pixels), logits, atol=1e-6)

    def test_pixels_may_be_a_view(self, pixels) -> None:
        runner = Runner(classifier(), Execution(batch_size=4))
        mirrored = pixels[:, :, ::-1]
        assert np.array_equal(runner.logits(mirrored), runner.logits(mirrored.copy()))


class TestExecution:
    def test_survives_json(self) -> None:
        execution = Execution("cuda:1", "bf16", False, 7)
        assert Execution(**execution.to_dict()) == execution

    def test_what_cannot_run_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="precision 'fp8' is not one of auto, fp32, bf16"):
            Execution(precision="fp8")
        with pytest.raises(ConfigError, match="batch of 0"):
            Execution(batch_size=0)


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_best_device(cuda: bool, mps: bool, expected: str, monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert best_device() == expected


def test_bf16_moves_pictures_no_more_than_it_must() -> None:
    """What rounded weights do to all pictures alike is taken away, on pictures that were not measured too."""
    model = classifier()
    coarse = np.random.default_rng(3).integers(0, 256, (64, 8, 8, 3), dtype=np.uint8)
    pictures = coarse.repeat(4, axis=1).repeat(4, axis=2)
    exact = Runner(model, Execution()).features(pictures)
    rounded = Runner(model, Execution(precision="bf16"))
    assert rounded.classifier.feature_shift is not None
    corrected = rounded.features(pictures) - exact
    plain = corrected + rounded.classifier.feature_shift.numpy()
    assert np.linalg.norm(corrected.mean(0)) < 0.7 * np.linalg.norm(plain.mean(0))
    assert Runner(model, Execution()).classifier.feature_shift is None
