import numpy as np
import pytest
from PIL import Image

from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.data.preparation import prepare
from catsdogs.data.stores import open_store

SIZES = [(500, 375), (375, 500), (256, 256), (100, 60), (1024, 300), (257, 255)]


def picture(width: int, height: int) -> Image.Image:
    coarse = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def as_timm_does(image: Image.Image, spec: PreprocessSpec) -> np.ndarray:
    from timm.data import create_transform

    transform = create_transform(
        (3, spec.height_px, spec.width_px),
        interpolation=spec.interpolation,
        crop_pct=spec.crop_fraction,
        crop_mode=spec.crop_mode,
        normalize=False,
    )
    return transform(image).permute(1, 2, 0).numpy()


def difference(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    return np.abs(ours.astype(int) - theirs.astype(int))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("crop_fraction", [0.875, 0.95, 1.0])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
def test_equals_timm_for_square_input(size, crop_fraction: float, interpolation: str) -> None:
    spec = PreprocessSpec(96, 96, crop_fraction=crop_fraction, interpolation=interpolation)
    differs = difference(prepare(picture(*size), spec), as_timm_does(picture(*size), spec))
    assert differs.mean() < 0.05
    assert differs.max() <= 16


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", [(96, 160), (160, 96)])
def test_equals_timm_for_other_input(size: tuple[int, int], shape: tuple[int, int]) -> None:
    spec = PreprocessSpec(*shape)
    differs = difference(prepare(picture(*size), spec), as_timm_does(picture(*size), spec))
    assert differs.mean() < 0.05
    assert differs.max() <= 16


@pytest.mark.parametrize("size", SIZES)
def test_a_squashed_picture_is_stretched_whole(size: tuple[int, int]) -> None:
    spec = PreprocessSpec(96, 128, crop_mode="squash", crop_fraction=1.0)
    expected = np.asarray(picture(*size).resize((128, 96), Image.Resampling.BICUBIC))
    assert (prepare(picture(*size), spec, x=0.0, y=1.0) == expected).all()


def test_a_picture_of_the_right_size_is_left_alone() -> None:
    image = picture(64, 64)
    assert (prepare(image, PreprocessSpec(64, 64, crop_fraction=1.0)) == np.asarray(image)).all()


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("size", [(1, 1), (1, 50_000), (50_000, 1), (3, 7), (700, 699)])
@pytest.mark.parametrize("place", [(0.0, 0.0), (0.5, 0.5), (1.0, 1.0), (0.3, 0.9)])
def test_any_size_gives_the_input_of_the_network(interpolation: str, size, place) -> None:
    spec = PreprocessSpec(33, 47, interpolation=interpolation)
    pixels = prepare(Image.new("RGB", size, (9, 8, 7)), spec, x=place[0], y=place[1])
    assert pixels.shape == (33, 47, 3)
    assert pixels.dtype == np.uint8
    assert (pixels == [9, 8, 7]).all()


def test_the_crop_moves_from_edge_to_edge() -> None:
    wide = Image.fromarray(np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (64, 1, 3)))
    spec = PreprocessSpec(64, 64, crop_fraction=1.0, interpolation="bilinear")
    middles = [prepare(wide, spec, x=x)[32, 32, 0] for x in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert [round(float(value)) for value in middles] == [32, 80, 128, 176, 224]
    tall = wide.transpose(Image.Transpose.TRANSPOSE)
    assert [prepare(tall, spec, y=y)[32, 32, 0] for y in (0.0, 0.25, 0.5, 0.75, 1.0)] == middles


@pytest.mark.real
def test_photos_differ_from_timm_as_little_as_the_prototype_found(real) -> None:
    from catsdogs.data.decode import decode

    store = open_store(str(real / "data" / "dogs-vs-cats" / "train.zip"))
    spec = PreprocessSpec(224, 224, interpolation="bilinear")
    photos = [decode(store.read(entry.name, 10**7)) for entry in store.entries()[::80]]
    differs = np.stack([difference(prepare(photo, spec), as_timm_does(photo, spec)) for photo in photos])
    assert differs.mean() < 0.05
    assert differs.max() <= 20
