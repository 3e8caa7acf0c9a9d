"""The batch that a GPU holds, the batch that a processor is fastest with, and what memory allows."""

import pytest
import torch
from proving import make_classifier

from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.training import batchfinder
from catsdogs.training.batchfinder import (
    available_memory,
    largest_batch,
    most_pictures,
    pictures_in_memory,
)
from catsdogs.training.trial import TrainingSpeed, training_step


@pytest.fixture(autouse=True)
def no_collection(monkeypatch):
    """Nothing was taken, and collecting takes its time."""
    monkeypatch.setattr(batchfinder, "garbage_collection_cuda", lambda: None)


def holding(limit, tried):
    """Steps on a device that holds so many pictures."""

    def step_of(size):
        def step():
            tried.append(size)
            if size > limit:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")

        return step

    return step_of


@pytest.mark.parametrize(
    ("limit", "most", "expected"), [(300, 4096, 256), (256, 4096, 256), (5, 4096, 4), (10_000, 100, 64)]
)
def test_the_largest_power_of_two_that_fits(limit, most, expected):
    tried = []
    found = largest_batch(holding(limit, tried), 32, most)
    assert found.found == expected
    assert max(tried) <= max(2 * expected, 32)
    assert ("fit" in found.reason) == (expected != 64)


def test_a_network_that_fits_no_picture_and_other_errors_are_not_hidden():
    with pytest.raises(torch.OutOfMemoryError):
        largest_batch(holding(0, []), 32, 64)

    def broken(size):
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes"):
        largest_batch(broken, 32, 64)


@pytest.fixture
def fastest(monkeypatch):
    """The finder with a clock that shows what a size is said to cost."""

    def run(seconds_of, most=128):
        monkeypatch.setattr(
            batchfinder, "time_in_turns", lambda works: {name: seconds_of(int(name)) for name in works}
        )
        return batchfinder.fastest_batch(lambda size: lambda: None, 32, most)

    return run


def test_the_usual_number_stays_unless_another_is_clearly_faster(fastest):
    even = fastest(lambda size: size * 2e-4)
    assert even.found == 32
    assert set(even.ms_per_picture) == {8, 16, 32, 64, 128}
    assert even.ms_per_picture[8] == pytest.approx(0.2)
    assert fastest(lambda size: size * (2e-4 if size == 32 else 1.9e-4)).found == 32
    assert fastest(lambda size: 0.02).found == 128
    assert fastest(lambda size: size * (1e-3 if size > 16 else 2e-4)).found in (8, 16)


def test_memory_bounds_what_is_tried(fastest):
    assert set(fastest(lambda size: 1, most=20).ms_per_picture) == {8, 16}
    assert fastest(lambda size: 1, most=3).found == 3


def test_an_epoch_keeps_a_few_steps():
    assert most_pictures(50, 32) == 32
    assert most_pictures(8000, 32) == 1000


def test_activations_are_what_memory_is_counted_by():
    classifier = make_classifier("resnet")

    def fit(pixels, gigabytes):
        every = [name for name, _ in classifier.backbone.named_parameters()]
        spec, speed = PreprocessSpec(pixels, pixels), TrainingSpeed("32-true", channels_last=True)
        return pictures_in_memory(
            lambda size: training_step(
                classifier, spec, speed, trainable=every, batch_size=size, device="cpu"
            ),
            gigabytes * 2**30,
        )

    small, large, double = fit(32, 1), fit(64, 1), fit(32, 2)
    assert double == pytest.approx(2 * small, rel=0.01)
    assert 2 < small / large < 4.1


def test_free_memory_is_read_where_the_system_tells(tmp_path):
    place = tmp_path / "meminfo"
    place.write_text("MemTotal: 10 kB\nMemAvailable:    2048 kB\n")
    assert available_memory(place) == 2**21
    assert available_memory(tmp_path / "none") is None
