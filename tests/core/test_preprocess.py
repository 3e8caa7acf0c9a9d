"""A preprocessing that no picture could go through is refused when it is read, not when it is used."""

import json
import math
from dataclasses import replace

import pytest

from catsdogs.core.errors import ModelError
from catsdogs.core.preprocess import PreprocessSpec, common_spec


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


SMALL = PreprocessSpec(224, 224, 0.875, "center", "bicubic")


class TestOneForSeveral:
    def test_the_same_is_the_same(self):
        assert common_spec([SMALL]) == common_spec([SMALL, SMALL]) == SMALL

    def test_other_statistics_change_nothing(self):
        assert common_spec([SMALL, replace(SMALL, mean=(0.5, 0.5, 0.5))]) == SMALL

    def test_the_finest_and_widest_holds_all(self):
        large = PreprocessSpec(288, 288, 1.0, "center", "bilinear")
        assert common_spec([SMALL, large]) == common_spec([large, SMALL]) == large

    @pytest.mark.parametrize("fractions", [(0.875, 1.0), (0.9, 0.95), (0.5, 0.77), (0.8, 0.96)])
    @pytest.mark.parametrize("sizes", [(256, 224), (224, 192), (97, 61)])
    def test_else_it_shows_the_widest_at_the_finest(self, fractions, sizes):
        fine, wide = (PreprocessSpec(px, px, share) for px, share in zip(sizes, fractions, strict=True))
        common = common_spec([fine, wide])
        assert common == common_spec([wide, fine])
        resized = max(fine.resized_height_px, wide.resized_height_px)
        assert common.resized_height_px == common.resized_width_px == resized
        assert common.height_px == common.width_px
        assert common.height_px / resized == pytest.approx(fractions[1], abs=0.5 / resized)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"crop_mode": "squash"}, "crop_mode center and squash"),
            ({"width_px": 448}, "inputs of different shape, 224x224 and 224x448 px"),
        ],
    )
    def test_some_have_nothing_in_common(self, change, words):
        with pytest.raises(ModelError, match=words):
            common_spec([SMALL, replace(SMALL, **change)])

    def test_squashed_ones_differ_in_size_alone(self):
        specs = [PreprocessSpec(px, px, share, "squash") for px, share in ((160, 1.0), (224, 0.875))]
        assert common_spec(specs) == specs[1]
