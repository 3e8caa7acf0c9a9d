import itertools
import threading
import time

import pytest

from catsdogs.core.ordered import ordered_map


class TestOrderedMap:
    @pytest.mark.parametrize("workers", [0, 1, 3])
    def test_results_come_in_order(self, workers: int) -> None:
        def late_for_even(number: int) -> int:
            time.sleep(0.003 * (number % 2 == 0))
            return number * number

        assert list(ordered_map(late_for_even, range(30), workers=workers)) == [n * n for n in range(30)]

    @pytest.mark.parametrize("workers", [0, 2])
    def test_nothing_gives_nothing(self, workers: int) -> None:
        assert list(ordered_map(str, [], workers=workers)) == []

    def test_works_in_parallel(self) -> None:
        together = threading.Barrier(3, timeout=5)
        assert len(list(ordered_map(lambda _: together.wait(), range(3), workers=3))) == 3

    @pytest.mark.parametrize("workers", [0, 2])
    def test_items_are_pulled_only_a_window_ahead(self, workers: int) -> None:
        pulled = itertools.count()
        results = ordered_map(lambda _: None, pulled, workers=workers, window=5)
        for _ in range(10):
            next(results)
        assert next(pulled) <= 15
        results.close()

    @pytest.mark.parametrize("workers", [0, 2])
    def test_an_exception_comes_in_its_place(self, workers: int) -> None:
        results = ordered_map(lambda number: 6 // (3 - number), range(9), workers=workers)
        assert [next(results) for _ in range(3)] == [2, 3, 6]
        with pytest.raises(ZeroDivisionError):
            next(results)

    @pytest.mark.parametrize("ending", [GeneratorExit, KeyboardInterrupt, ValueError])
    def test_ending_early_drops_what_has_not_begun(self, ending: type[BaseException]) -> None:
        begun, gate = [], threading.Event()

        def work(number: int) -> int:
            begun.append(number)
            if number:
                gate.wait(5)
            return number

        results = ordered_map(work, range(1000), workers=2, window=100)
        assert next(results) == 0
        started = time.perf_counter()
        with pytest.raises((ending, StopIteration)):
            results.throw(ending())
        assert time.perf_counter() - started < 1
        gate.set()
        time.sleep(0.05)
        assert len(begun) <= 3

    def test_every_thread_begins_with_what_it_is_told(self) -> None:
        told = threading.local()

        def begin() -> None:
            told.number = 7

        assert list(ordered_map(lambda _: told.number, range(9), workers=3, begin=begin)) == [7] * 9
