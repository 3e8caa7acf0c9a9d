import pytest

from catsdogs.core.errors import ConfigError
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.data.views import PLAIN, VIEWS, View, input_size, parse_views, plain_among

SPEC = PreprocessSpec(224, 224)


@pytest.mark.parametrize(
    ("tta", "count"),
    [
        ("none", 1),
        ("flip", 2),
        ("five", 5),
        ("ten", 10),
        ("scales:256,320,384", 3),
        ("resnet", 50),
        ("random:7", 7),
        ("dense", 1),
        ("dense:300xflip", 2),
        ("scales:256,320xflip", 4),
        ("flipxscales:256,320xfive", 20),
        ("random:3xflip", 6),
    ],
)
def test_a_recipe_has_distinct_views_with_distinct_names(tta: str, count: int) -> None:
    views = parse_views(tta, SPEC)
    assert len(views) == len(set(views)) == len({view.name for view in views}) == count


def test_products_say_the_same_in_any_order_and_ten_is_five_mirrored() -> None:
    assert set(parse_views("fivexflip", SPEC)) == set(VIEWS["ten"])
    one, other = parse_views("scales:256,320xflip", SPEC), parse_views("flipxscales:256,320", SPEC)
    assert set(one) == set(other)
    assert one != other  # the last factor changes fastest


def test_resnet_has_the_scales_of_the_paper_and_others_in_proportion() -> None:
    sides = {view.short_px for view in parse_views("resnet", SPEC)}
    assert sides == {224, 256, 384, 480, 640}
    sides = {view.short_px for view in parse_views("resnet", PreprocessSpec(112, 112))}
    assert sides == {112, 128, 192, 240, 320}


def test_the_plain_view_is_found_also_where_a_scale_names_it() -> None:
    places = [plain_among(parse_views(tta, SPEC), SPEC) for tta in ("none", "flip", "five", "ten")]
    assert places == [0, 0, 4, 4]
    assert plain_among(parse_views("scales:224,256", SPEC), SPEC) == 1  # 224 / 0.875
    assert plain_among(parse_views("scales:224,320", SPEC), SPEC) is None
    assert plain_among(parse_views("random:4", SPEC), SPEC) is None
    squashing = PreprocessSpec(224, 224, crop_mode="squash")
    assert plain_among(parse_views("scales:224,256", squashing), squashing) is None


@pytest.mark.parametrize("spec", [PreprocessSpec(224, 224, 1.0), PreprocessSpec(224, 224, 1.0, "squash")])
def test_corners_differ_also_where_the_network_sees_the_whole_picture(spec: PreprocessSpec) -> None:
    views = parse_views("five", spec)
    assert [view.short_px for view in views] == [256, 256, 256, 256, 0]
    assert views[plain_among(views, spec)] == PLAIN
    assert {view.short_px for view in parse_views("fivexscales:320", spec)} == {320}


def test_dense_views_are_squares_of_their_own_size() -> None:
    assert input_size(parse_views("dense", SPEC), SPEC) == (448, 448)
    assert input_size(parse_views("dense:320xflip", SPEC), SPEC) == (320, 320)
    assert input_size([PLAIN], PreprocessSpec(64, 80)) == (64, 80)


@pytest.mark.parametrize(
    ("view", "name"),
    [
        (View(), "centre"),
        (View(0, 1, mirror=True), "bottom left mirrored"),
        (View(1, 0, short_px=320), "320 px top right"),
        (View(draw=3), "random 3"),
        (View(dense_px=448, mirror=True), "dense 448 px mirrored"),
    ],
)
def test_names_say_where_one_looks(view: View, name: str) -> None:
    assert view.name == name


@pytest.mark.parametrize(
    ("tta", "told"),
    [
        ("twelve", "unknown views 'twelve'; choose one of none, flip, five, ten"),
        ("", "unknown views ''"),
        ("scales:256,", "unknown views 'scales:256,'"),
        ("flip:3", "unknown views 'flip:3'"),
        ("scales", "scales needs short sides in pixels"),
        ("scales:200", "200 px is outside 224 "),
        ("dense:5000", "5000 px is outside 224 "),
        ("random", "random needs a number of views from 1 to 256"),
        ("random:0", "random needs a number"),
        ("random:999", "random needs a number"),
        ("nonexflip", "none is the plain view; leave it out of a product"),
        ("tenxflip", "two factors choose the mirror image"),
        ("resnetxscales:256", "two factors choose the scale"),
        ("fivexten", "two factors choose the place of the crop"),
        ("random:2xfive", "random and dense views go with flip only"),
        ("densexscales:300", "random and dense views go with flip only"),
        ("randomxdense", "random needs a number"),
        ("random:2xdense", "random and dense views go with flip only"),
        ("scales:256,256", "names a view twice"),
        ("random:200xflip", "has 400 views; 256 are the most"),
    ],
)
def test_mistakes_are_named(tta: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_views(tta, SPEC)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
