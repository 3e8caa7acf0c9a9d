"""The patch: chequered, in the same place of every picture, and inside what a network sees."""

import numpy as np
import pytest
from PIL import Image

from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.data.patch import patched
from catsdogs.data.preparation import prepare


@pytest.mark.parametrize("size", [(100, 100), (161, 90), (60, 200), (8, 8), (4, 4)])
@pytest.mark.parametrize("share", [0.15, 0.5, 0.9])
def test_only_the_patch_changes(size, share):
    picture = Image.new("RGB", size, "black")
    worn = np.asarray(patched(picture, share)).any(axis=2)
    length = max(4, round(share * min(size)))
    assert worn.sum() == length**2
    rows, columns = np.flatnonzero(worn.any(axis=1)), np.flatnonzero(worn.any(axis=0))
    assert len(rows) == len(columns) == length
    assert not np.asarray(picture).any()


def test_a_centre_crop_keeps_it():
    spec = PreprocessSpec(height_px=64, width_px=64, crop_fraction=0.875)
    for size in ((200, 200), (300, 200), (200, 320)):
        seen = np.asarray(prepare(patched(Image.new("RGB", size, "black"), 0.2), spec))
        assert (seen.max(axis=-1) > 60).sum() == pytest.approx((0.2 / 0.875 * 64) ** 2, rel=0.15)
