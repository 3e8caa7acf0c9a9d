import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from catsdogs.core.cachefolder import cache_folder
from catsdogs.models import trial
from catsdogs.models.backbones import create_backbone, feature_width
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.execution import Execution
from catsdogs.models.heads import HeadSpec, build_head
from catsdogs.models.trial import choose, fastest_execution, has_bf16, processor_flags


@pytest.fixture
def clock(monkeypatch) -> "Clock":
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", lambda: clock.now_s)
    return clock


class Clock:
    """A clock that work moves on by its own duration."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.made: list[str] = []

    def works(self, **seconds: float) -> Callable[[str], Callable[[], None]]:
        def work(name: str) -> Callable[[], None]:
            self.made.append(name)

            def run() -> None:
                self.now_s += seconds[name]

            return run

        return work


class TestChoose:
    @pytest.mark.parametrize(
        ("seconds", "expected"),
        [
            ({"a": 1.0, "b": 1.0}, "a"),
            ({"a": 1.1, "b": 1.0}, "a"),
            ({"a": 1.2, "b": 1.0}, "b"),
            ({"a": 1.0, "b": 5.0}, "a"),
            ({"a": 2.0, "b": 1.5, "c": 1.0}, "c"),
        ],
    )
    def test_the_first_stays_unless_another_is_clearly_faster(self, seconds, expected: str, clock) -> None:
        assert choose("key", list(seconds), clock.works(**seconds)) == expected

    def test_warming_up_does_not_count(self, clock) -> None:
        durations = {"a": iter([100.0, 1.0, 100.0, 1.0]), "b": iter([1.0, 2.0, 2.0, 2.0])}

        def work(name: str) -> Callable[[], None]:
            return lambda: setattr(clock, "now_s", clock.now_s + next(durations[name]))

        assert choose("key", ["a", "b"], work) == "a"

    def test_the_answer_is_kept_for_its_key(self, clock) -> None:
        assert choose("key", ["a", "b"], clock.works(a=2.0, b=1.0)) == "b"
        assert choose("other", ["a", "b"], clock.works(a=1.0, b=2.0)) == "a"
        clock.made.clear()
        assert choose("key", ["a", "b"], clock.works(a=1.0, b=2.0)) == "b"
        assert clock.made == []

    def test_an_answer_of_another_machine_does_not_count(self, clock, monkeypatch) -> None:
        assert choose("key", ["a", "b"], clock.works(a=2.0, b=1.0)) == "b"
        monkeypatch.setattr(trial, "processor_flags", lambda: frozenset({"another"}))
        assert choose("key", ["a", "b"], clock.works(a=1.0, b=2.0)) == "a"

    def test_an_answer_that_is_no_candidate_any_more_does_not_count(self, clock) -> None:
        choose("key", ["a", "b"], clock.works(a=2.0, b=1.0))
        assert choose("key", ["a", "c"], clock.works(a=1.0, c=2.0)) == "a"

    @pytest.mark.parametrize("content", ["", "{", "[]", "\x80\udcff", '{"key": {}}'])
    def test_a_damaged_cache_is_written_anew(self, content: str, clock) -> None:
        path = cache_folder() / "trials.json"
        path.write_bytes(content.encode("utf-8", "surrogateescape"))
        assert choose("key", ["a", "b"], clock.works(a=2.0, b=1.0)) == "b"
        assert "b" in json.loads(path.read_text()).values()

    def test_a_cache_that_cannot_be_written_is_no_mistake(self, clock, tmp_path: Path, monkeypatch) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setenv("CATSDOGS_CACHE", str(tmp_path / "file" / "below"))
        assert choose("key", ["a", "b"], clock.works(a=2.0, b=1.0)) == "b"


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
            assert "test_resnet 32x32 cpu" in key
            assert [work(name)().shape[0] for name in names] == [8, 8]
            return names[-1]

        monkeypatch.setattr(trial, "has_bf16", lambda _: True)
        monkeypatch.setattr(trial, "choose", choose)
        assert self.fastest(classifier) == Execution(precision="bf16")


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
        assert all(flag == flag.strip() for flag in processor_flags())
