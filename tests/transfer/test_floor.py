from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.feature import hog

from catsdogs.core.errors import DataError
from catsdogs.core.records import ImageRecord
from catsdogs.data.layouts import find_labelled
from catsdogs.transfer.floor import FLOOR_SPEC, colour_histogram, floor_features, oriented_gradients
from catsdogs.transfer.svm import fit_kernel_probe


def noise(n: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, height, width, 3), dtype=np.uint8)


class TestOrientedGradients:
    @pytest.mark.parametrize("size", [(64, 64), (96, 64), (67, 90)])
    def test_is_scikit_images(self, size) -> None:
        pixels = noise(3, *size)
        for picture, row in zip(pixels, oriented_gradients(pixels), strict=True):
            grey = picture @ (np.array([0.2125, 0.7154, 0.0721]) / 255)
            expected = hog(grey, 9, (8, 8), (2, 2), "L2-Hys")
            np.testing.assert_allclose(row, expected, rtol=0, atol=1e-6)

    def test_a_flat_picture_has_none(self) -> None:
        assert not oriented_gradients(np.full((1, 64, 64, 3), 90, dtype=np.uint8)).any()

    def test_light_and_contrast_change_little(self) -> None:
        pixels = noise(1, 64, 64) // 4
        brighter = pixels * 2 + 60
        np.testing.assert_allclose(oriented_gradients(pixels), oriented_gradients(brighter), atol=1e-5)


class TestColourHistogram:
    def test_one_colour_is_one_entry(self) -> None:
        pixels = np.zeros((2, 8, 8, 3), dtype=np.uint8)
        pixels[1] = 255, 64, 0
        rows = colour_histogram(pixels)
        assert rows.shape == (2, 64)
        assert rows[0, 0] == rows[1, 3 * 16 + 1 * 4] == 1
        assert rows.sum() == 2

    def test_every_pixel_counts_once_and_where_it_lies_does_not_matter(self) -> None:
        pixels = noise(3, 16, 16)
        rows = colour_histogram(pixels)
        np.testing.assert_allclose((rows**2).sum(axis=1), 1, rtol=1e-5)
        np.testing.assert_array_equal(rows, colour_histogram(pixels[:, ::-1]))


class TestFloorFeatures:
    @pytest.fixture
    def records(self, tmp_path: Path) -> list[ImageRecord]:
        for number, pixels in enumerate(noise(5, 50, 70)):
            Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        (tmp_path / "2.png").write_bytes(b"nothing")
        return [ImageRecord(f"{n}.png", str(tmp_path), f"{n}.png", label="cat") for n in range(5)]

    def test_what_cannot_be_read_is_left_out(self, records) -> None:
        advanced: list[int] = []
        kept, rows = floor_features(records, workers=1, advance=advanced.append)
        assert [record.id for record in kept] == ["0.png", "1.png", "3.png", "4.png"]
        assert rows.shape == (4, 7 * 7 * 36 + 64)
        assert rows.dtype == np.float32
        assert sum(advanced) == 5

    def test_nothing_readable_is_one_line(self, records) -> None:
        with pytest.raises(DataError, match="none of the 1 pictures can be read"):
            floor_features(records[2:3], FLOOR_SPEC, workers=0, advance=lambda _: None)


@pytest.mark.real
@pytest.mark.parametrize(
    ("place", "group_by", "least", "most"),
    [("dogs-vs-cats/train.zip", None, 0.62, 0.76), ("chest-xray.zip", r"^(\d+)", 0.74, 0.88)],
)
def test_it_is_a_floor_on_real_pictures(real: Path, place: str, group_by, least, most) -> None:
    layout = find_labelled(str(real / "data" / place), group_by=group_by, limit_per_class=300)
    records, rows = floor_features(layout.records, workers=2, advance=lambda _: None)
    labels = np.array([layout.class_names.index(record.label or "") for record in records])
    units = [record.group or record.id for record in records]
    probe = fit_kernel_probe(rows, labels, classes=2, units=units, seed=0)
    assert least < (probe.held_out_logits.argmax(axis=1) == probe.held_out_labels).mean() < most
