"""Warping: compared with torchvision where it has the same, by its effect where it has not."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, v2

from catsdogs.data import warping
from catsdogs.data.presets import AugmentationSpec
from catsdogs.data.warping import Warp

CENTRE = slice(24, 40)


@pytest.fixture
def picture():
    y, x = np.mgrid[0:64, 0:64]
    planes = (127 + 100 * np.sin(x / 5), 127 + 100 * np.sin(y / 7), 2 * x + 2 * y)
    return Image.fromarray(np.stack(planes, axis=-1).astype(np.uint8))


@pytest.fixture
def furthest(monkeypatch):
    """Every draw gives the largest value."""
    monkeypatch.setattr(warping, "_draw", lambda most, count: [most] * count)


def centre(picture):
    return np.asarray(picture).astype(int)[CENTRE, CENTRE]


@pytest.mark.parametrize(
    ("changes", "reference"),
    [
        (AugmentationSpec(rotation=30), {"angle": -30}),
        (AugmentationSpec(translation=0.125), {"translate": [-8, -8]}),
        (AugmentationSpec(rotation=10, translation=0.0625), {"angle": -10, "translate": None}),
    ],
    ids=["rotation", "translation", "both"],
)
def test_inside_the_picture_it_is_torchvisions_affine(picture, furthest, changes, reference):
    options = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0], **reference}
    if options["translate"] is None:  # ours shifts what was turned, torchvision turns what was shifted
        angle = np.radians(10)
        turned = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) @ [-4, -4]
        options["translate"] = turned.tolist()
    expected = v2.functional.affine(picture, interpolation=InterpolationMode.BILINEAR, **options)
    assert abs(centre(Warp(changes)(picture)) - centre(expected)).max() <= 2


def test_shear_leans(furthest):
    """A vertical line through the centre leans by the angle."""
    line = np.zeros((65, 65, 3), np.uint8)
    line[:, 32] = 255
    leaning = np.asarray(Warp(AugmentationSpec(shear=20))(Image.fromarray(line)))[..., 0]
    rows = np.array([20, 44])
    columns = leaning[rows].argmax(1)
    slope = (columns[1] - columns[0]) / 24
    assert abs(abs(slope) - np.tan(np.radians(20))) < 0.1


def test_perspective_makes_one_edge_larger_than_the_other(furthest):
    stripes = Image.fromarray(
        np.repeat(np.where(np.arange(128) % 8 < 4, 255, 0)[None, :, None], 128, 0)
        .repeat(3, 2)
        .astype(np.uint8)
    )
    tilted = np.asarray(Warp(AugmentationSpec(perspective=0.4))(stripes))[64, :, 0] > 127
    edges = np.flatnonzero(np.diff(tilted.astype(int)))
    widths = np.diff(edges)
    assert max(widths[:3].mean(), widths[-3:].mean()) > 1.8 * min(widths[:3].mean(), widths[-3:].mean())


def test_elastic_displaces_each_place_differently_and_as_far_as_it_says():
    x = np.repeat(np.linspace(0, 255, 256)[None, :, None], 256, 0).repeat(3, 2)
    ramp = Image.fromarray(x.round().astype(np.uint8))  # the value says which column a pixel came from
    torch.manual_seed(0)
    moved = [np.asarray(Warp(AugmentationSpec(elastic=0.03))(ramp))[..., 0] - x[..., 0] for _ in range(20)]
    inner = np.stack(moved)[:, 40:-40, 40:-40]
    assert 0.6 * 0.03 < inner.std() / 256 < 1.2 * 0.03
    assert inner.std((1, 2)).min() > 1
    assert abs(np.diff(inner, axis=2)).max() < 3  # smooth


def test_nothing_is_blank_and_nothing_moves_at_zero(picture):
    assert (np.asarray(Warp(AugmentationSpec())(picture)) == np.asarray(picture)).all()
    white = Image.new("RGB", (40, 30), "white")
    torch.manual_seed(0)
    wild = Warp(AugmentationSpec(rotation=180, shear=60, translation=1, perspective=0.45, elastic=0.2))
    assert all((np.asarray(wild(white)) == 255).all() for _ in range(50))
    assert wild(white).size == (40, 30)


def test_threads_do_not_change_a_pixel(picture):
    changes = AugmentationSpec(rotation=40, shear=9, translation=0.1, perspective=0.2, elastic=0.02)
    threads, found = torch.get_num_threads(), []
    for count in (1, 3):
        torch.set_num_threads(count)
        torch.manual_seed(0)
        found.append(np.asarray(Warp(changes)(picture.resize((224, 224)))))
    torch.set_num_threads(threads)
    np.testing.assert_array_equal(*found)
