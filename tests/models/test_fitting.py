"""What a network is given from pictures that were prepared for several is what it would have been given."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from catsdogs.core.preprocess import PreprocessSpec, common_spec
from catsdogs.data.preparation import prepare
from catsdogs.models.fitting import Fit

RAW = {"mean": (0.0, 0.0, 0.0), "std": (1 / 255, 1 / 255, 1 / 255)}
GIVEN = PreprocessSpec(96, 96, 0.9, **RAW)


def planes(pixels):
    return torch.from_numpy(np.ascontiguousarray(pixels))[None].permute(0, 3, 1, 2).float()


def smooth_picture(width=300, height=200):
    x, y = np.meshgrid(np.linspace(0, 3, width), np.linspace(0, 2, height))
    waves = [np.sin(x + phase) * np.cos(y - phase) * 100 + 128 for phase in range(3)]
    return Image.fromarray(np.stack(waves, axis=2).astype(np.uint8))


@pytest.mark.parametrize(("side", "share"), [(64, 0.9), (96, 0.8), (120, 0.9), (33, 0.5)])
def test_resampling_is_pillows(side, share):
    wanted = PreprocessSpec(side, side, share, **RAW)
    picture = np.random.default_rng(0).integers(0, 256, (96, 96), dtype=np.uint8)
    part = side * GIVEN.resized_height_px / wanted.resized_height_px
    box = ((96 - part) / 2, (96 - part) / 2, (96 + part) / 2, (96 + part) / 2)
    expected = Image.fromarray(picture.astype(np.float32)).resize(
        (side, side), Image.Resampling.BILINEAR, box
    )
    found = Fit(GIVEN, wanted)(planes(np.stack([picture] * 3, axis=2)))[0, 1]
    np.testing.assert_allclose(found.numpy(), np.asarray(expected), atol=2e-3)


@pytest.mark.parametrize("mode", ["center", "squash"])
@pytest.mark.parametrize(("side", "share"), [(64, 0.875), (96, 0.8), (96, 1.0), (80, 1.0)])
def test_it_is_nearly_what_the_network_alone_is_given(mode, side, share):
    wanted = PreprocessSpec(side, side, share, mode, **RAW)
    common = common_spec([replace(GIVEN, crop_mode=mode), wanted])
    picture = smooth_picture()
    found = Fit(common, wanted)(planes(prepare(picture, common)))
    alone = planes(prepare(picture, wanted))
    assert found.shape == alone.shape
    assert float((found - alone).abs().mean()) < 1.5


def test_the_same_pixels_are_untouched_but_for_the_networks_own_statistics():
    wanted = replace(GIVEN, mean=(0.5, 0.4, 0.3), std=(0.1, 0.2, 0.4))
    pixels = torch.randint(0, 256, (2, 3, 96, 96)).float()
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (wanted.mean, wanted.std))
    expected = (pixels / 255 - mean) / std
    torch.testing.assert_close(Fit(GIVEN, wanted)(pixels), expected)


def test_a_crop_alone_moves_whole_pixels():
    wanted = PreprocessSpec(48, 48, 48 / GIVEN.resized_height_px, **RAW)
    assert wanted.resized_height_px == GIVEN.resized_height_px
    pixels = torch.randint(0, 256, (1, 3, 96, 96)).float()
    torch.testing.assert_close(Fit(GIVEN, wanted)(pixels), pixels[:, :, 24:72, 24:72])


def test_nothing_of_it_is_kept_in_a_file():
    assert not Fit(GIVEN, PreprocessSpec(48, 48)).state_dict()
