"""The training transform: each option by what it does to pixels."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, v2

from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.data.augmentation import Augmentation
from catsdogs.data.preparation import prepare
from catsdogs.data.presets import PRESETS, AugmentationSpec

SPEC = PreprocessSpec(height_px=24, width_px=32)
SQUARE = PreprocessSpec(height_px=64, width_px=64, crop_fraction=1.0)
LIGHT = PRESETS["light"]


@pytest.fixture
def picture():
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    return Image.fromarray(noise)


@pytest.fixture(scope="module")
def scene():
    """A smooth picture in colour, 64 px a side, so that its evaluation crop is itself."""
    y, x = np.mgrid[0:64, 0:64] / 63
    planes = (80 + 100 * x, 60 + 120 * y, 200 - 90 * x * y)
    return Image.fromarray(np.stack(planes, axis=-1).astype(np.uint8))


def seen(picture, changes, *, count=40, spec=SQUARE):
    """What so many epochs make of a picture, int (N, H, W, 3)."""
    augmentation = Augmentation(spec, changes, seed=0)
    return np.stack([augmentation(picture, epoch=epoch, index=0) for epoch in range(count)]).astype(int)


class TestSeeds:
    def test_it_has_the_size_of_the_input(self, picture):
        for changes in PRESETS.values():
            pixels = Augmentation(SPEC, changes, seed=0)(picture, epoch=0, index=0)
            assert pixels.shape == (24, 32, 3)
            assert pixels.dtype == np.uint8

    @pytest.mark.parametrize("preset", PRESETS)
    def test_the_same_seed_epoch_and_index_give_the_same_pixels_whatever_was_drawn(self, preset, picture):
        for index in range(8):
            once = Augmentation(SPEC, PRESETS[preset], seed=1)(picture, epoch=2, index=index)
            torch.rand(17)
            again = Augmentation(SPEC, PRESETS[preset], seed=1)(picture, epoch=2, index=index)
            np.testing.assert_array_equal(once, again)

    @pytest.mark.parametrize("changed", [{"epoch": 3, "index": 3}, {"epoch": 2, "index": 4}])
    def test_another_epoch_or_picture_gets_another_crop(self, picture, changed):
        augmentation = Augmentation(SPEC, LIGHT, seed=1)
        assert (augmentation(picture, epoch=2, index=3) != augmentation(picture, **changed)).any()

    def test_another_seed_gives_another_crop(self, picture):
        first, second = (Augmentation(SPEC, LIGHT, seed=seed)(picture, epoch=0, index=0) for seed in (0, 1))
        assert (first != second).any()

    def test_the_random_state_of_the_process_is_left_alone(self, picture):
        torch.manual_seed(5)
        expected = torch.rand(3)
        torch.manual_seed(5)
        Augmentation(SPEC, PRESETS["strong"], seed=0)(picture, epoch=0, index=0)
        assert torch.equal(torch.rand(3), expected)


class TestPresets:
    def test_none_is_the_evaluation_preparation(self, picture):
        (pixels,) = seen(picture, PRESETS["none"], count=1, spec=SPEC)
        np.testing.assert_array_equal(pixels, prepare(picture, SPEC))

    def test_light_is_torchvisions_crop_mirror_and_colour(self, picture):
        reference = v2.Compose(
            [
                v2.RandomResizedCrop((48, 48), scale=(0.35, 1.0), interpolation=InterpolationMode.BICUBIC),
                v2.RandomHorizontalFlip(),
                v2.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2),
            ]
        )
        augmentation = Augmentation(PreprocessSpec(48, 48), LIGHT, seed=7)
        for index in range(8):
            state = np.random.SeedSequence([7, 3, index]).generate_state(1, np.uint64)
            torch.manual_seed(int(state[0] >> 1))
            expected = np.asarray(reference(picture))
            np.testing.assert_array_equal(augmentation(picture, epoch=3, index=index), expected)

    def test_each_preset_is_stronger_than_the_one_before(self, scene):
        plain = prepare(scene, SQUARE).astype(int)
        distances = [abs(seen(scene, PRESETS[name], count=80) - plain).mean() for name in PRESETS]
        assert distances[0] == 0
        assert all(1.15 * low < high for low, high in pairwise(distances))


class TestCrop:
    def test_mirrored_or_not(self, scene):
        plain = np.asarray(scene)
        flipped = [(pixels == plain[:, ::-1]).all() for pixels in seen(scene, AugmentationSpec(mirror=True))]
        straight = [(pixels == plain).all() for pixels in seen(scene, AugmentationSpec(mirror=True))]
        assert np.logical_xor(flipped, straight).all()
        assert 10 < sum(flipped) < 30

    @pytest.mark.parametrize("share", [0.9, 0.25])
    def test_its_share_of_the_picture(self, scene, share):
        """Red grows from left to right, so its range says how wide the crop is."""
        red = seen(scene, AugmentationSpec(crop=share))[..., 0]
        widths = (red.max((1, 2)) - red.min((1, 2))) / 100
        assert abs(widths.min() - share**0.5) < 0.1
        assert widths.max() > 0.85

    def test_its_aspect(self, scene):
        square, stretched = (seen(scene, AugmentationSpec(crop=0.25, aspect=aspect)) for aspect in (1.0, 2.0))

        def ratios(pixels):
            red, green = (np.ptp(pixels[..., channel], axis=(1, 2)) for channel in (0, 1))
            return (red / 100) / (green / 120)

        np.testing.assert_allclose(ratios(square), 1, atol=0.1)
        assert ratios(stretched).min() < 0.7
        assert ratios(stretched).max() > 1.4
        assert ratios(stretched).max() < 2.2

    def test_an_input_that_is_not_square_is_not_squeezed(self, scene):
        spec = PreprocessSpec(height_px=16, width_px=32)
        pixels = seen(scene, AugmentationSpec(crop=0.1), spec=spec, count=10)
        red, green = (np.ptp(pixels[..., channel], axis=(1, 2)) for channel in (0, 1))
        np.testing.assert_allclose((red / 100) / (green / 120), 2, rtol=0.15)


class TestColours:
    def test_brightness_scales(self, scene):
        factors = seen(scene, AugmentationSpec(brightness=0.2)).mean((1, 2, 3)) / np.asarray(scene).mean()
        assert 0.79 < factors.min() < 0.85
        assert 1.15 < factors.max() < 1.21

    def test_contrast_scales_the_distance_from_the_mean(self, scene):
        spread = seen(scene, AugmentationSpec(contrast=0.4)).std((1, 2, 3)) / np.asarray(scene).std()
        assert 0.6 < spread.min() < 0.8
        assert 1.2 < spread.max() < 1.41

    def test_saturation_scales_the_distance_between_channels(self, scene):
        spread = seen(scene, AugmentationSpec(saturation=0.4)).std(-1).mean((1, 2))
        factors = spread / np.asarray(scene).std(-1).mean()
        assert 0.59 < factors.min() < 0.8
        assert 1.2 < factors.max() < 1.41

    def test_hue_turns_the_wheel(self):
        red = Image.new("RGB", (64, 64), (255, 0, 0))
        colours = seen(red, AugmentationSpec(hue=0.1))[:, 0, 0]
        assert (colours[:, 0] == 255).all()
        assert (np.minimum(colours[:, 1], colours[:, 2]) == 0).all()
        assert colours[:, 1].max() > 100
        assert colours[:, 2].max() > 100
        assert colours[:, 1:].max() < 0.1 * 6 * 255 + 6

    def test_grey_has_equal_channels(self, scene):
        grey = [np.ptp(pixels, axis=-1).max() == 0 for pixels in seen(scene, AugmentationSpec(grey=0.3))]
        assert 4 <= sum(grey) <= 20


class TestPolicyAndErasing:
    @pytest.mark.parametrize("policy", ["randaugment", "trivialaugment"])
    def test_a_policy_is_torchvisions(self, scene, policy):
        kinds = {"randaugment": v2.RandAugment, "trivialaugment": v2.TrivialAugmentWide}
        fill = tuple(round(255 * mean) for mean in SQUARE.mean)
        reference = kinds[policy](interpolation=InterpolationMode.BILINEAR, fill=fill)
        for epoch, pixels in enumerate(seen(scene, AugmentationSpec(policy=policy), count=20)):
            state = np.random.SeedSequence([0, epoch, 0]).generate_state(1, np.uint64)
            torch.manual_seed(int(state[0] >> 1))
            np.testing.assert_array_equal(pixels, np.asarray(reference(scene)))

    def test_erasing_leaves_a_rectangle_of_the_mean_colour(self, scene):
        plain, erased = np.asarray(scene), 0
        for pixels in seen(scene, AugmentationSpec(erasing=0.5)):
            rows, columns = np.nonzero((pixels != plain).any(-1))
            if len(rows):
                erased += 1
                inside = pixels[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
                assert (inside == [round(255 * mean) for mean in SQUARE.mean]).all()
                assert 0.01 < inside[..., 0].size / plain[..., 0].size < 0.35
        assert 10 < erased < 30
