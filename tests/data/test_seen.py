"""Pictures that a model has learned from are known again, and others are not."""

import io

import numpy as np
import pytest
from PIL import Image

from catsdogs.core.errors import DataError
from catsdogs.data.layouts import find_labelled
from catsdogs.data.properties import SmallCopies, luma_of
from catsdogs.data.seen import SeenPictures
from catsdogs.data.stores import open_store


@pytest.fixture(scope="module")
def pictures():
    records = find_labelled("drawn:cat,dog,rabbit?per_class=20&size=160").records
    return [
        Image.open(io.BytesIO(open_store(record.root).read(record.name, 10**7))).convert("RGB")
        for record in records
    ]


def thumbnails(pictures):
    return luma_of(np.stack([SmallCopies.of(picture).whole for picture in pictures]))


def recompressed(picture, size, quality):
    stream = io.BytesIO()
    picture.resize(size).save(stream, "JPEG", quality=quality)
    return Image.open(stream).convert("RGB")


def test_each_is_known_and_no_other(pictures):
    known = SeenPictures.of(thumbnails(pictures[::2]))
    assert known.contains(thumbnails(pictures)).tolist() == [True, False] * 30


@pytest.mark.parametrize(("size", "quality"), [((80, 80), 90), ((160, 120), 60), ((320, 320), 40)])
def test_copies_of_another_size_shape_or_quality_are_known(pictures, size, quality):
    known = SeenPictures.of(thumbnails(pictures[::2]))
    copies = [recompressed(picture, size, quality) for picture in pictures]
    assert known.contains(thumbnails(copies)).tolist() == [True, False] * 30


def test_pictures_of_one_colour_are_never_known(pictures):
    grey = [Image.new("RGB", (60, 40), (level, level, level)) for level in (0, 90, 255)]
    known = SeenPictures.of(thumbnails(pictures + grey))
    assert len(known.signatures) == len(pictures)
    assert not known.contains(thumbnails(grey)).any()
    assert not SeenPictures.of(thumbnails(grey)).contains(thumbnails(pictures)).any()


def test_the_file_gives_them_back(pictures, tmp_path):
    known = SeenPictures.of(thumbnails(pictures))
    known.save(tmp_path / "seen.npz")
    again = SeenPictures.load(tmp_path / "seen.npz")
    assert again.signatures.dtype == np.int8
    assert np.array_equal(again.signatures, known.signatures)


def test_a_damaged_file_is_one_line_and_nothing_in_it_runs(tmp_path):
    (tmp_path / "seen.npz").write_bytes(b"PK nonsense")
    with pytest.raises(DataError, match="is damaged"):
        SeenPictures.load(tmp_path / "seen.npz")
    np.savez(tmp_path / "pickled.npz", signatures=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="is damaged"):
        SeenPictures.load(tmp_path / "pickled.npz")
    np.savez(tmp_path / "floats.npz", signatures=np.zeros((2, 63)))
    with pytest.raises(DataError, match="no signatures"):
        SeenPictures.load(tmp_path / "floats.npz")
