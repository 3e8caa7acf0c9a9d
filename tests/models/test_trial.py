from collections.abc import Callable

import pytest
import torch

from catsdogs.models import trial
from catsdogs.models.backbones import create_backbone, feature_width
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.execution import Execution
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HeadSpec
from catsdogs.models.networkspec import CNN, NetworkSpec
from catsdogs.models.trial import fastest_execution, has_bf16


class TestFastestExecution:
    @pytest.fixture
    def classifier(self) -> ImageClassifier:
        backbone, spec = create_backbone("test_resnet", input_size=32)
        return ImageClassifier(backbone, build_head(feature_width(backbone), 2, HeadSpec()), spec)

    def fastest(self, classifier: ImageClassifier, **options: str) -> Execution:
        spec = create_backbone("test_resnet", input_size=32)[1]
        return fastest_execution(classifier, spec, "test_resnet", device="cpu", **options)

    @pytest.mark.parametrize("precision", ["fp32", "bf16"])
    def test_what_is_given_is_taken_without_a_trial(self, precision: str, classifier, monkeypatch) -> None:
        monkeypatch.setattr(trial, "choose", lambda *_: pytest.fail("no trial is needed"))
        assert self.fastest(classifier, precision=precision).precision == precision

    def test_without_bf16_there_is_nothing_to_try(self, classifier, monkeypatch) -> None:
        monkeypatch.setattr(trial, "has_bf16", lambda _: False)
        monkeypatch.setattr(trial, "choose", lambda *_: pytest.fail("no trial is needed"))
        assert self.fastest(classifier) == Execution(precision="fp32")

    def test_both_are_really_run_where_there_is_a_choice(self, classifier, monkeypatch) -> None:
        def choose(key: str, names: list[str], work: Callable[[str], Callable[[], object]]) -> str:
            assert "test_resnet stages top 32x32 cpu" in key
            assert [work(name)().shape[0] for name in names] == [8, 8]
            return names[-1]

        monkeypatch.setattr(trial, "has_bf16", lambda _: True)
        monkeypatch.setattr(trial, "choose", choose)
        assert self.fastest(classifier) == Execution(precision="bf16")

    def test_another_cut_or_another_width_is_tried_again(self, classifier, monkeypatch) -> None:
        keys: list[str] = []
        monkeypatch.setattr(trial, "has_bf16", lambda _: True)
        monkeypatch.setattr(trial, "choose", lambda key, *_: keys.append(key) or "fp32")
        self.fastest(classifier)
        classifier.stages = ("layer2",)
        self.fastest(classifier)
        for width in (4, 8):
            backbone, spec = create_backbone(CNN, input_size=32, network=NetworkSpec(width=width))
            own = ImageClassifier(backbone, build_head(feature_width(backbone), 2, HeadSpec()), spec)
            fastest_execution(own, spec, CNN, device="cpu")
        assert len(set(keys)) == 4


class TestHasBf16:
    def test_emulation_does_not_count(self, monkeypatch) -> None:
        def is_bf16_supported(including_emulation: bool = True) -> bool:
            return including_emulation

        monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_bf16_supported)
        assert not has_bf16("cuda:0")

    def test_needs_the_processors_own_instructions(self, monkeypatch) -> None:
        monkeypatch.setattr(trial, "processor_flags", lambda: frozenset({"avx2"}))
        assert not has_bf16("cpu")
        assert not has_bf16("mps")

    def test_says_something_here(self) -> None:
        assert isinstance(has_bf16("cpu"), bool)
        assert all(flag == flag.strip() for flag in trial.processor_flags())
