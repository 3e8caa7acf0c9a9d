"""Corruptions: nothing at a neutral number, the formula at others, and the same pixels every time."""

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import convolve
from skimage.color import hsv2rgb, rgb2hsv

from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.data.preparation import prepare
from catsdogs.robustness.corruptions import CORRUPTIONS, STRENGTHS, Corrupting, corrupted
from catsdogs.robustness.prepared import LastPrepared

KINDS = {kind.name: kind for kind in CORRUPTIONS}
NOTHING = {
    "gaussian_noise": 0.0,
    "shot_noise": 1e7,
    "impulse_noise": 0.0,
    "defocus_blur": 0.0,
    "motion_blur": (0.1, 0.01),
    "pixelate": 1.0,
    "brightness": 0.0,
    "contrast": 1.0,
    "haze": (0.0, 2.0),
    "jpeg": 100,
}


def photo(height: int = 64, width: int = 96, seed: int = 0) -> np.ndarray:
    """A smooth coloured picture, uint8."""
    small = np.random.default_rng(seed).integers(30, 226, (6, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def planes(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype(np.float32) / 255


def applied(name: str, number, pixels: np.ndarray) -> np.ndarray:
    return np.asarray(KINDS[name].apply(planes(pixels), number, np.random.default_rng(0)))


@pytest.mark.parametrize("name", KINDS)
def test_a_neutral_number_changes_nothing(name: str) -> None:
    change = np.abs(applied(name, NOTHING[name], photo()) - planes(photo())).max()
    assert change < (0.02 if name == "jpeg" else 2e-3)


@pytest.mark.parametrize("name", KINDS)
def test_harsher_strengths_change_more_and_any_size_goes(name: str) -> None:
    pixels = photo(224, 224)
    changes = [
        np.abs(corrupted(pixels, KINDS[name], strength, seed=0).astype(int) - pixels).mean()
        for strength in STRENGTHS
    ]
    assert changes[0] > 0
    # Between its last two strengths haze changes its decay alone.
    assert (np.diff(changes) > (-2 if name == "haze" else 0)).all()
    for height, width in ((24, 40), (1, 3)):
        small = corrupted(photo(height, width), KINDS[name], 5, seed=0)
        assert small.shape == (height, width, 3)
        assert small.dtype == np.uint8


def test_noise_has_the_strength_that_it_says() -> None:
    grey = np.full((200, 200, 3), 128, dtype=np.uint8)
    noise = applied("gaussian_noise", 0.18, grey) - planes(grey)
    assert noise.std() == pytest.approx(0.18, rel=0.01)
    shots = applied("shot_noise", 12, grey)
    assert shots.mean() == pytest.approx(128 / 255, rel=0.01)
    assert shots.var() == pytest.approx(128 / 255 / 12, rel=0.03)
    salted = applied("impulse_noise", 0.09, grey)
    for value in (0, 1):
        assert (salted == value).mean() == pytest.approx(0.045, rel=0.05)


def test_brightness_adds_to_the_value_of_hsv() -> None:
    pixels = photo()
    pixels = np.concatenate([pixels, np.zeros_like(pixels[:1])])  # black has no hue
    hsv = rgb2hsv(pixels)
    hsv[..., 2] = np.clip(hsv[..., 2] + 0.3, 0, 1)
    np.testing.assert_allclose(applied("brightness", 0.3, pixels), hsv2rgb(hsv), atol=1e-5)


def test_contrast_shrinks_towards_the_mean_of_each_channel() -> None:
    before, after = planes(photo()), applied("contrast", 0.2, photo())
    np.testing.assert_allclose(after.mean((0, 1)), before.mean((0, 1)), atol=1e-5)
    np.testing.assert_allclose(after.std((0, 1)), 0.2 * before.std((0, 1)), atol=1e-5)


def test_defocus_is_a_disc_in_proportion_to_the_side() -> None:
    pixels = photo(112, 112)
    y, x = np.mgrid[-3:4, -3:4]
    disc = np.clip(3 + 0.5 - np.hypot(x, y), 0, 1)[..., None]  # radius 6 of 224 px
    expected = convolve(planes(pixels), disc / disc.sum(), mode="reflect")
    np.testing.assert_allclose(applied("defocus_blur", 6, pixels), expected, atol=1e-5)


def test_motion_blurs_along_one_direction() -> None:
    dot = np.zeros((101, 101, 3), dtype=np.uint8)
    dot[50, 50] = 255
    y, x = np.nonzero(applied("motion_blur", (30, 10), dot)[..., 0] > 1e-4)
    y, x = y - 50, x - 50
    assert (x >= 0).all()
    assert x.max() > 5
    assert (np.abs(y) <= x + 1).all()
    assert np.abs(y - x * y[x.argmax()] / x.max()).max() <= 1.5  # a line


def test_pixelating_makes_blocks_and_jpeg_is_pillows() -> None:
    pixels = photo(64, 96)
    blocks = corrupted(pixels, KINDS["pixelate"], 5, seed=0)
    np.testing.assert_array_equal(blocks, blocks[::4, ::4].repeat(4, 0).repeat(4, 1))
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=10)
    np.testing.assert_array_equal(corrupted(pixels, KINDS["jpeg"], 4, seed=0), np.asarray(Image.open(stream)))


def test_haze_brightens_the_dark_and_never_leaves_the_range() -> None:
    hazy = applied("haze", (2.5, 1.5), photo(120, 90))
    assert hazy.min() >= 0
    assert hazy.max() <= planes(photo(120, 90)).max() + 1e-6
    assert hazy.std() < planes(photo(120, 90)).std() + 0.1


class TestCorrupting:
    SPEC = PreprocessSpec(48, 48, crop_fraction=0.9)
    PICTURE = Image.fromarray(photo(80, 100))

    def test_views_are_kinds_times_strengths_of_the_prepared_picture(self) -> None:
        draw = Corrupting(self.SPEC, seed=3)
        assert len(draw.places) == 50
        for number in (1, 27, 50):
            kind, strength = draw.places[number - 1]
            expected = corrupted(prepare(self.PICTURE, self.SPEC), kind, strength, seed=3)
            np.testing.assert_array_equal(draw(self.PICTURE, number), expected)

    def test_chance_follows_from_seed_and_pixels_alone(self) -> None:
        first = Corrupting(self.SPEC, seed=3)(self.PICTURE, 1)
        again = Corrupting(self.SPEC, seed=3)
        again(Image.fromarray(photo(80, 100, seed=1)), 1)
        np.testing.assert_array_equal(again(self.PICTURE, 1), first)
        assert (Corrupting(self.SPEC, seed=4)(self.PICTURE, 1) != first).any()

    def test_each_thread_remembers_its_own_picture(self) -> None:
        made: list[Image.Image] = []
        remembered = LastPrepared(lambda picture: (made.append(picture), np.asarray(picture))[1])
        other = Image.fromarray(photo(seed=1))
        remembered(self.PICTURE)
        with ThreadPoolExecutor(1) as pool:
            found = pool.submit(remembered, other).result()
        np.testing.assert_array_equal(found, np.asarray(other))
        np.testing.assert_array_equal(remembered(self.PICTURE), np.asarray(self.PICTURE))
        assert made == [self.PICTURE, other]

    def test_threads_do_not_disturb_each_other(self) -> None:
        draw = Corrupting(self.SPEC, seed=0)
        pictures = [Image.fromarray(photo(80, 100, seed=seed)) for seed in range(4)]
        jobs = [(picture, number) for picture in pictures for number in (1, 2, 30)]
        expected = [Corrupting(self.SPEC, seed=0)(*job) for job in jobs]
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda job: draw(*job), jobs))
        np.testing.assert_array_equal(found, expected)
