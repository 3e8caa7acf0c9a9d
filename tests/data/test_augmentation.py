"""The training transform."""

import numpy as np
import pytest
import torch
from PIL import Image

from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.data.augmentation import Augmentation

SPEC = PreprocessSpec(height_px=24, width_px=32)


@pytest.fixture
def picture():
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    return Image.fromarray(noise)


def test_it_has_the_size_of_the_input(picture):
    pixels = Augmentation(SPEC, seed=0)(picture, epoch=0, index=0)
    assert pixels.shape == (24, 32, 3)
    assert pixels.dtype == np.uint8


def test_the_same_seed_epoch_and_index_give_the_same_crop_whatever_was_drawn_before(picture):
    once = Augmentation(SPEC, seed=1)(picture, epoch=2, index=3)
    torch.rand(17)
    np.testing.assert_array_equal(once, Augmentation(SPEC, seed=1)(picture, epoch=2, index=3))


@pytest.mark.parametrize("changed", [{"epoch": 3, "index": 3}, {"epoch": 2, "index": 4}])
def test_another_epoch_or_picture_gets_another_crop(picture, changed):
    augmentation = Augmentation(SPEC, seed=1)
    assert (augmentation(picture, epoch=2, index=3) != augmentation(picture, **changed)).any()


def test_another_seed_gives_another_crop(picture):
    first, second = (Augmentation(SPEC, seed=seed)(picture, epoch=0, index=0) for seed in (0, 1))
    assert (first != second).any()


def test_the_random_state_of_the_process_is_left_alone(picture):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    Augmentation(SPEC, seed=0)(picture, epoch=0, index=0)
    assert torch.equal(torch.rand(3), expected)


def test_mirrors_and_colours_vary():
    half = Image.fromarray(
        np.repeat(np.array([[[0, 60, 60], [200, 60, 60]]], np.uint8), 2, axis=0).repeat(20, 0).repeat(20, 1)
    )
    augmentation = Augmentation(SPEC, seed=0)
    crops = [augmentation(half, epoch=0, index=index).astype(int) for index in range(40)]
    falling = sum(crop[:, 0, 0].mean() > crop[:, -1, 0].mean() for crop in crops)
    assert 5 < falling < 35
    assert len({int(crop[..., 1].mean()) for crop in crops}) > 5
