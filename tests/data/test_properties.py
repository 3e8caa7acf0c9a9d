import numpy as np
import pytest
from PIL import Image, ImageFilter

from catsdogs.core.records import ImageRecord
from catsdogs.data.columns import columns_of
from catsdogs.data.inspection import inspect
from catsdogs.data.properties import Look, SmallCopies, looks_of, luma_of
from catsdogs.data.stores import open_store


def look(picture):
    copies = SmallCopies.of(picture)
    return looks_of(copies.whole[None], copies.middle[None])[0]


def photo(seed=0, size=(400, 300)):
    """Shapes of every size, as photos have them."""
    chance = np.random.default_rng(seed)
    layers = [
        np.asarray(
            Image.fromarray(chance.integers(0, 256, (side, side, 3), dtype=np.uint8)).resize(size), float
        )
        for side in (3, 12, 50, 200)
    ]
    return Image.fromarray(np.average(layers, axis=0, weights=(4, 3, 2, 1)).astype(np.uint8))


def test_luma_is_pillows():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 9, 7, 3), dtype=np.uint8)
    for ours, one in zip(luma_of(pixels), pixels, strict=True):
        np.testing.assert_array_equal(ours, np.asarray(Image.fromarray(one).convert("L")))


@pytest.mark.parametrize(("level", "brightness"), [(0, 0.0), (128, 128 / 255), (255, 1.0)])
def test_one_grey_has_its_brightness_and_nothing_else(level, brightness):
    found = look(Image.new("RGB", (80, 60), (level,) * 3))
    assert found == Look(pytest.approx(brightness), 0.0, 0.0, 0.0)


def test_contrast_is_the_deviation_over_the_mean():
    halves = Image.new("RGB", (96, 96), (60, 60, 60))
    halves.paste((180, 180, 180), (0, 0, 48, 96))
    assert look(halves).contrast == pytest.approx(0.5, abs=0.01)


def test_colourfulness_is_that_of_the_paper():
    pixels = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    red, green, blue = pixels.reshape(-1, 3).T.astype(float)
    first, second = red - green, (red + green) / 2 - blue
    expected = np.sqrt(first.var() + second.var()) + 0.3 * np.sqrt(first.mean() ** 2 + second.mean() ** 2)
    middle = np.zeros((1, 64, 64, 3), dtype=np.uint8)
    assert looks_of(pixels[None], middle)[0].colourfulness == pytest.approx(expected, rel=1e-4)
    assert look(photo().convert("L").convert("RGB")).colourfulness == pytest.approx(0, abs=1e-6)


def test_a_blurred_copy_is_less_sharp_and_a_darker_one_as_sharp():
    for seed in range(5):
        picture = photo(seed)
        darker = picture.point([value // 2 for value in range(256)] * 3)
        sharpness = look(picture).sharpness
        assert look(picture.filter(ImageFilter.GaussianBlur(3))).sharpness < 0.7 * sharpness
        assert look(darker).sharpness == pytest.approx(sharpness, rel=0.1)
        assert look(darker).contrast == pytest.approx(look(picture).contrast, rel=0.03)
        assert look(darker).brightness == pytest.approx(look(picture).brightness / 2, rel=0.02)


def test_the_same_photo_at_another_size_looks_the_same():
    picture = photo(size=(800, 600))
    small = look(picture.resize((400, 300), Image.Resampling.BOX))
    for name in ("brightness", "contrast", "sharpness", "colourfulness"):
        assert getattr(small, name) == pytest.approx(getattr(look(picture), name), rel=0.1)


def test_a_cached_look_is_the_measured_one(tmp_path):
    for seed in range(3):
        photo(seed).save(tmp_path / f"{seed}.png")
    photo(0).save(tmp_path / "again.bmp")
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    names = [entry.name for entry in open_store(str(tmp_path)).entries()]
    records = [ImageRecord(id=name, root=str(tmp_path), name=name) for name in names]
    first = inspect(records, workers=2, advance=lambda _: None, cache=True)
    again = inspect(records, workers=0, advance=lambda _: None, cache=True)
    assert [(one.look, one.file_bytes) for one in first[:-1]] == [
        (one.look, one.file_bytes) for one in again[:-1]
    ]
    columns = {column.name: column.take(range(len(names))).values for column in columns_of(again)}
    broken = names.index("broken.jpg")
    for name, values in columns.items():
        known = [value is not None and value == value for value in values]
        assert known == [place != broken for place in range(len(names))], name
    at = names.index("1.png")
    assert columns["file size"][at] == (tmp_path / "1.png").stat().st_size / 1000
    assert (columns["size"][at], columns["aspect ratio"][at]) == (0.12, pytest.approx(4 / 3))
    assert columns["brightness"][at] == look(photo(1)).brightness
    assert columns["format"][names.index("again.bmp")] == "BMP"
    told = dict(zip(names, columns["duplicates"], strict=True))
    assert told == {
        "0.png": "some",
        "1.png": "none",
        "2.png": "none",
        "again.bmp": "some",
        "broken.jpg": None,
    }
