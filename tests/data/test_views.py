import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import functional

from catsdogs.core.errors import ConfigError
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.data.preparation import prepare
from catsdogs.data.views import VIEWS, View, at_least_px, parse_views, render

SPEC = PreprocessSpec(64, 80, crop_fraction=0.8)


# Of sizes whose margins around the crop are even; half of an odd one is rounded to one side.
@pytest.fixture(params=[(210, 150), (150, 200), (90, 400)])
def picture(request: pytest.FixtureRequest) -> Image.Image:
    coarse = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(request.param, Image.Resampling.BICUBIC)


@pytest.mark.parametrize(("name", "count"), [("none", 1), ("flip", 2), ("five", 5), ("ten", 10)])
def test_a_recipe_has_distinct_views(name: str, count: int, picture: Image.Image) -> None:
    views = parse_views(name)
    assert len(set(views)) == len(views) == count
    pixels = render(picture, SPEC, views)
    assert pixels.shape == (count, 64, 80, 3)
    assert pixels.dtype == np.uint8
    assert len({view.tobytes() for view in pixels}) == count


def test_an_unknown_recipe_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="unknown views 'twelve'; choose one of none, flip, five, ten"):
        parse_views("twelve")


def test_none_is_the_evaluation_transform(picture: Image.Image) -> None:
    assert (render(picture, SPEC, VIEWS["none"])[0] == prepare(picture, SPEC)).all()


def test_recipes_build_on_each_other(picture: Image.Image) -> None:
    none, flip, five, ten = (render(picture, SPEC, VIEWS[name]) for name in ("none", "flip", "five", "ten"))
    assert (flip[0] == none[0]).all()
    assert (five[4] == none[0]).all()
    assert (ten[:5] == five).all()
    assert (ten[5:] == five[:, :, ::-1]).all()


def test_a_mirrored_view_is_the_view_of_the_mirrored_picture(picture: Image.Image) -> None:
    """Left and right corners change places."""
    mirrored = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for view in VIEWS["ten"]:
        seen = render(picture, SPEC, [view])[0].astype(int)
        other = render(mirrored, SPEC, [View(1 - view.x, view.y, not view.mirror)])[0]
        assert np.abs(seen - other).max() <= 1


@pytest.mark.parametrize(("name", "crops"), [("five", functional.five_crop), ("ten", functional.ten_crop)])
def test_crops_are_those_of_torchvision(name: str, crops, picture: Image.Image) -> None:
    width, height = picture.size
    scale = max(SPEC.resized_width_px / width, SPEC.resized_height_px / height)
    size = (round(width * scale), round(height * scale))
    expected = np.stack(
        [np.asarray(crop) for crop in crops(picture.resize(size, Image.Resampling.BICUBIC), (64, 80))]
    )
    # Torchvision mirrors the whole picture first, so its left and right corners change places.
    order = [0, 1, 2, 3, 4, 6, 5, 8, 7, 9][: len(expected)]
    assert np.abs(render(picture, SPEC, VIEWS[name]).astype(int) - expected[order]).mean() < 0.3


def test_a_crop_and_its_mirror_cost_one_resize(picture: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def counting(*args: object, **places: float) -> np.ndarray:
        seen.append(places)
        return prepare(*args, **places)

    monkeypatch.setattr("catsdogs.data.views.prepare", counting)
    render(picture, SPEC, VIEWS["ten"])
    assert len(seen) == 5
    seen.clear()
    render(picture, PreprocessSpec(64, 80, crop_mode="squash"), VIEWS["ten"])
    assert len(seen) == 1


def test_what_the_views_need_of_a_picture() -> None:
    assert at_least_px(PreprocessSpec(224, 224)) == (256, 256)
    assert at_least_px(SPEC) == (100, 80)
    assert at_least_px(PreprocessSpec(64, 80, crop_fraction=0.8, crop_mode="squash")) == (80, 64)
