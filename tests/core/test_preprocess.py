"""A preprocessing that no picture could go through is refused when it is read, not when it is used."""

import json
import math

import pytest

from catsdogs.core.errors import ModelError
from catsdogs.core.preprocess import PreprocessSpec


def test_json_gives_it_back():
    spec = PreprocessSpec(192, 224, 0.95, "squash", "bilinear", (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    assert PreprocessSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_the_picture_is_scaled_to_what_the_crop_is_cut_from():
    spec = PreprocessSpec(224, 448, crop_fraction=0.875)
    assert (spec.resized_height_px, spec.resized_width_px) == (256, 512)
    assert PreprocessSpec(224, 224, crop_fraction=0.9).resized_height_px == 248  # timm rounds down too
    assert PreprocessSpec(224, 224, crop_fraction=1.0).resized_height_px == 224


@pytest.mark.parametrize(
    "change",
    [
        {"height_px": 0},
        {"width_px": 5000},
        {"height_px": 224.5},
        {"height_px": "224"},
        {"crop_fraction": 0},
        {"crop_fraction": 1.01},
        {"crop_fraction": math.nan},
        {"crop_fraction": None},
        {"crop_mode": "border"},
        {"interpolation": "random"},
        {"interpolation": ["bicubic"]},
        {"mean": (0.5, 0.5)},
        {"mean": 0.5},
        {"mean": "rgb"},
        {"mean": (0.5, 0.5, math.nan)},
        {"std": (0.2, 0.2, 0.0)},
        {"std": (0.2, 0.2, -0.1)},
        {"std": (0.2, 0.2, math.inf)},
        {"colour": "bgr"},
    ],
    ids=lambda change: "-".join(map(str, *change.items())),
)
def test_what_no_picture_can_go_through_is_refused(change):
    with pytest.raises(ModelError):
        PreprocessSpec.from_dict({"height_px": 224, "width_px": 224} | change)


@pytest.mark.parametrize("values", [{}, {"height_px": 224}, None, 3, [1, 2]])
def test_a_value_of_another_form_is_refused(values):
    with pytest.raises(ModelError, match="preprocessing is not valid"):
        PreprocessSpec.from_dict(values)
