import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import functional

from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.data.preparation import prepare
from catsdogs.data.rendering import at_least_px, dense_spec, render
from catsdogs.data.views import VIEWS, View, parse_views

SPEC = PreprocessSpec(64, 80, crop_fraction=0.8)
SQUARE = PreprocessSpec(64, 64, crop_fraction=0.8)


# Of sizes whose margins around the crop are even; half of an odd one is rounded to one side.
@pytest.fixture(params=[(210, 150), (150, 200), (90, 400)])
def picture(request: pytest.FixtureRequest) -> Image.Image:
    coarse = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(request.param, Image.Resampling.BICUBIC)


def test_views_are_pixels_of_the_networks_size(picture: Image.Image) -> None:
    for name, views in VIEWS.items():
        pixels = render(picture, SPEC, views)
        assert pixels.shape == (len(views), 64, 80, 3), name
        assert pixels.dtype == np.uint8
        assert len({view.tobytes() for view in pixels}) == len(views)


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


@pytest.mark.parametrize("side", [64, 96, 200])
def test_a_scale_is_the_short_side_of_the_whole_picture_and_its_centre(
    side: int, picture: Image.Image
) -> None:
    resized = functional.resize(picture, side, functional.InterpolationMode.BICUBIC)
    expected = np.asarray(functional.center_crop(resized, [64, 64])).astype(int)
    seen = render(picture, SQUARE, parse_views(f"scales:{side}", SQUARE))[0]
    # torchvision and we may round half a pixel of the margin to different sides.
    assert min(np.abs(seen[:, dx:64] - expected[:, : 64 - dx]).mean() for dx in (0, 1)) < 1.5 or (
        np.abs(seen[1:] - expected[:-1]).mean() < 1.5
    )


def test_the_scale_of_the_plain_view_is_the_plain_view(picture: Image.Image) -> None:
    seen = render(picture, SQUARE, parse_views("scales:80,100", SQUARE))
    assert (seen[0] == prepare(picture, SQUARE)).all()
    assert (seen[1] != seen[0]).any()


def test_a_mark_lands_where_the_view_looks() -> None:
    """One bright corner is seen by the crop of that corner, and in its mirror image on the other side."""
    dark = np.zeros((100, 160, 3), dtype=np.uint8)
    dark[:20, :20] = 255
    views = parse_views("ten", SQUARE)
    seen = render(Image.fromarray(dark), SQUARE, views)
    bright = {view.name for view, pixels in zip(views, seen, strict=True) if pixels.max() > 200}
    assert bright == {"top left", "top left mirrored"}
    names = [view.name for view in views]
    assert seen[names.index("top left")][:10, :10].min() > 200
    assert seen[names.index("top left mirrored")][:10, -10:].min() > 200


def test_a_product_is_each_view_of_the_one_under_each_of_the_other(picture: Image.Image) -> None:
    scales = render(picture, SQUARE, parse_views("scales:80,100", SQUARE))
    both = render(picture, SQUARE, parse_views("scales:80,100xflip", SQUARE))
    assert (both[::2] == scales).all()
    assert (both[1::2] == scales[:, :, ::-1]).all()


def test_dense_is_the_centre_square_with_nothing_cut_off_the_short_side(picture: Image.Image) -> None:
    seen = render(picture, SPEC, parse_views("dense:96xflip", SPEC))
    assert seen.shape == (2, 96, 96, 3)
    assert (seen[0] == prepare(picture, dense_spec(SPEC, 96))).all()
    side = min(picture.size)
    left, top = ((length - side) // 2 for length in picture.size)
    square = picture.crop((left, top, left + side, top + side)).resize((96, 96), Image.Resampling.BICUBIC)
    assert np.abs(seen[0].astype(int) - np.asarray(square)).mean() < 3
    assert (seen[1] == seen[0][:, ::-1]).all()


class TestWork:
    """What views share is computed once; the measure is pixels made by resizing."""

    @pytest.fixture
    def made(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        made: list[int] = []
        resize = Image.Image.resize

        def counting(self, size, *args, **options):
            made.append(size[0] * size[1])
            return resize(self, size, *args, **options)

        monkeypatch.setattr(Image.Image, "resize", counting)
        return made

    def test_ten_crops_cost_one_crop_and_one_whole_picture(self, made: list[int]) -> None:
        render(Image.new("RGB", (300, 200)), SQUARE, parse_views("ten", SQUARE))
        assert made == [64 * 64, 120 * 80]

    def test_scales_with_crops_share_a_resize_each(self, made: list[int]) -> None:
        render(Image.new("RGB", (300, 200)), SQUARE, parse_views("scales:64,80xten", SQUARE))
        assert made == [64 * 64, 96 * 64, 64 * 64, 120 * 80]

    def test_a_long_picture_costs_no_more_than_its_crops(self, made: list[int]) -> None:
        render(Image.new("RGB", (10_000, 20)), SQUARE, parse_views("resnet", SQUARE))
        assert sum(made) == 25 * 64 * 64

    def test_a_squashed_picture_is_made_once(self, made: list[int]) -> None:
        render(Image.new("RGB", (300, 200)), PreprocessSpec(64, 80, crop_mode="squash"), VIEWS["ten"])
        assert made == [64 * 80]

    def test_a_random_view_and_its_mirror_are_drawn_once(self) -> None:
        drawn: list[int] = []

        def draw(picture: Image.Image, number: int) -> np.ndarray:
            drawn.append(number)
            return np.full((64, 64, 3), number, dtype=np.uint8) + np.arange(64, dtype=np.uint8)[:, None]

        pixels = render(Image.new("RGB", (9, 9)), SQUARE, parse_views("random:2xflip", SQUARE), draw)
        assert drawn == [1, 2]
        assert (pixels[1] == pixels[0][:, ::-1]).all()


def test_crops_cut_from_the_whole_are_the_crops_made_alone(picture: Image.Image) -> None:
    """Sharing a resize changes a pixel by a rounding at most."""
    together = render(picture, SQUARE, VIEWS["five"]).astype(int)
    alone = [render(picture, SQUARE, [view])[0] for view in VIEWS["five"]]
    assert np.abs(together - np.stack(alone)).max() <= 1


def test_what_the_views_need_of_a_picture() -> None:
    assert at_least_px(PreprocessSpec(224, 224)) == (256, 256)
    assert at_least_px(SPEC) == (100, 80)
    assert at_least_px(PreprocessSpec(64, 80, crop_fraction=0.8, crop_mode="squash")) == (80, 64)
    assert at_least_px(SQUARE, parse_views("scales:64,200", SQUARE)) == (200, 200)
    assert at_least_px(SQUARE, parse_views("dense:300", SQUARE)) == (300, 300)
