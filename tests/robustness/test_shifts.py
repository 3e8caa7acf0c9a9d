"""Shifts: the pixels that stay in sight are the same ones, and no edge comes in where there is room."""

import numpy as np
import pytest
from PIL import Image

from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.data.preparation import prepare
from catsdogs.robustness.shifts import Shifting, moved, room_px

SPEC = PreprocessSpec(32, 32, crop_fraction=0.5)  # resized to 64 px, so 16 px of room


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize(("right", "down"), [(1, 0), (-16, 0), (0, 16), (0, -4), (5, -3)])
def test_what_stays_in_sight_is_the_same(right: int, down: int) -> None:
    picture = noise(64, 64)
    whole = np.asarray(picture)
    expected = whole[16 + down : 48 + down, 16 + right : 48 + right]
    np.testing.assert_array_equal(moved(picture, SPEC, right, down), expected)


@pytest.mark.parametrize("size", [(64, 64), (65, 90), (333, 200), (101, 64), (70, 71)])
@pytest.mark.parametrize("fraction", [0.5, 0.875, 0.95, 1.0])
def test_not_moved_is_the_plain_view(size: tuple[int, int], fraction: float) -> None:
    spec = PreprocessSpec(32, 32, crop_fraction=fraction)
    np.testing.assert_array_equal(moved(noise(*size), spec, 0, 0), prepare(noise(*size), spec))


def test_beyond_the_room_the_picture_is_mirrored() -> None:
    picture = noise(64, 64)
    edge = np.asarray(picture)[:32, 16:48]
    by_hand = np.concatenate([edge[:4][::-1], edge[:-4]])
    np.testing.assert_array_equal(moved(picture, SPEC, 0, -20), by_hand)


def test_a_squashed_picture_has_no_room() -> None:
    spec = PreprocessSpec(32, 32, crop_mode="squash", crop_fraction=0.5)
    assert room_px(spec) == 0
    assert room_px(SPEC) == 16
    plain = prepare(noise(50, 90), spec)
    expected = np.concatenate([plain[:, 2:], plain[:, -2:][:, ::-1]], axis=1)
    np.testing.assert_array_equal(moved(noise(50, 90), spec, 2, 0), expected)


def test_views_start_with_the_unmoved_one_and_go_no_further_than_a_quarter() -> None:
    draw = Shifting(SPEC)
    assert draw.sizes_px == (1, 2, 4, 8)
    assert draw.places[0] == (0, 0)
    assert len(draw.places) == 17
    np.testing.assert_array_equal(draw(noise(64, 64), 3), moved(noise(64, 64), SPEC, *draw.places[2]))
    assert Shifting(PreprocessSpec(224, 224)).sizes_px == (1, 2, 4, 8, 16)
    assert Shifting(PreprocessSpec(2, 2)).places == ((0, 0),)
