import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from catsdogs.core.cachefolder import cache_folder
from catsdogs.models import choosing
from catsdogs.models.choosing import choose


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

    def test_one_candidate_is_not_timed(self, clock) -> None:
        assert choose("key", ["a"], clock.works(a=1.0)) == "a"
        assert clock.made == []
        assert not (cache_folder() / "trials.json").exists()

    def test_one_that_can_be_done_is_not_timed_but_kept(self, clock) -> None:
        works = clock.works(a=1.0)
        assert choose("key", ["a", "b"], lambda name: works(name) if name == "a" else None) == "a"
        assert clock.now_s == 0
        assert choose("key", ["a", "b"], pytest.fail) == "a"

    def test_an_answer_of_another_machine_does_not_count(self, clock, monkeypatch) -> None:
        assert choose("key", ["a", "b"], clock.works(a=2.0, b=1.0)) == "b"
        monkeypatch.setattr(choosing, "processor_flags", lambda: frozenset({"another"}))
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
