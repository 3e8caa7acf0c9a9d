from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pytest

from catsdogs.core.records import ImageRecord
from catsdogs.data.stream import Batch
from catsdogs.inference.packing import packed


def batch(start: int, good: Sequence[int], views: int, bad: int = 0) -> Batch:
    """Pictures whose every pixel is their number, views told apart by the last row."""
    pixels = np.zeros((len(good), views, 2, 2, 3), dtype=np.uint8)
    for row, number in zip(pixels, good, strict=True):
        row[:] = number
        row[:, 0, 0, 0] = range(views)
    records = tuple(ImageRecord(str(n), "root", str(n)) for n in range(len(good) + bad))
    return Batch(start, records, pixels, np.arange(len(good)), {})


class Network:
    """Says of a crop which picture and which view it is, and remembers how many it was given."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def __call__(self, stream: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for pixels in stream:
            self.calls.append(len(pixels))
            yield np.stack([pixels[:, 1, 1, 0], pixels[:, 0, 0, 0]], axis=1).astype(np.float32)


@pytest.mark.parametrize("views", [1, 2, 3, 10, 50])
@pytest.mark.parametrize("size", [1, 4, 8])
@pytest.mark.parametrize("per_batch", [1, 3, 8])
def test_each_picture_gets_its_views_back_in_full_calls(views: int, size: int, per_batch: int) -> None:
    network = Network()
    numbers = list(range(11))
    given = [
        batch(start, numbers[start : start + per_batch], views, bad=start % 2)
        for start in range(0, 11, per_batch)
    ]
    answered = list(packed(given, network, size=size))
    assert [one.start for one, _ in answered] == [one.start for one in given]
    rows = np.concatenate([logits for _, logits in answered])
    assert rows.shape == (11, views, 2)
    assert (rows[:, :, 0] == np.array(numbers)[:, None]).all()
    assert (rows[:, :, 1] == np.arange(views)).all()
    assert set(network.calls[:-1]) <= {size}
    assert sum(network.calls) == 11 * views


def test_answers_come_as_soon_as_they_are_known() -> None:
    asked: list[int] = []

    def stream() -> Iterator[Batch]:
        for number in range(100):
            asked.append(number)
            yield batch(number, [number], 10)

    answers = packed(stream(), Network(), size=8)
    next(answers)
    assert len(asked) <= 2


def test_batches_without_pictures_keep_their_place() -> None:
    given = [batch(0, [], 2, bad=3), batch(3, [1], 2), batch(4, [], 2, bad=1)]
    answered = list(packed(given, Network(), size=8))
    assert [one.start for one, _ in answered] == [0, 3, 4]
    assert [len(logits) for _, logits in answered] == [0, 1, 0]
    assert list(packed([], Network(), size=8)) == []


def test_files_that_nobody_can_read_are_answered_without_waiting_for_one_that_somebody_can() -> None:
    asked: list[int] = []

    def stream() -> Iterator[Batch]:
        yield batch(0, [7], 3)
        for number in range(1, 1000):
            asked.append(number)
            yield batch(number, [], 3, bad=5)
        yield batch(1000, [8, 9], 3)

    network = Network()
    answers = packed(stream(), network, size=4)
    first, rows = next(answers)
    assert (first.start, rows[0, :, 0].tolist()) == (0, [7, 7, 7])
    assert next(answers)[0].start == 1
    assert len(asked) < 10
    rest = list(answers)
    assert [one.start for one, _ in rest] == list(range(2, 1001))
    assert rest[-1][1][:, :, 0].tolist() == [[8, 8, 8], [9, 9, 9]]
    assert sum(network.calls) == 9
