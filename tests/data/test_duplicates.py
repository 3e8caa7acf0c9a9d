import io
import itertools
import random
import zipfile

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from catsdogs.data import duplicates
from catsdogs.data.duplicates import connected, is_flat, near_groups, near_pairs
from catsdogs.data.properties import SmallCopies, luma_of


def textured(rng, width=240, height=180, shape=None, details=1.0):
    """A picture of coarse shapes and finer details, smooth as a photo is."""
    layers = np.zeros((height, width, 3))
    for side, weight in ((5, 70.0), (16, 30.0 * details), (40, 15.0 * details)):
        noise = shape if shape is not None and side == 5 else rng.normal(size=(side, side))
        layer = Image.fromarray((noise * 40 + 128).clip(0, 255).astype(np.uint8))
        layer = np.asarray(layer.resize((width, height), Image.Resampling.BICUBIC), dtype=float)
        layers += ((layer - 128) / 40 * weight)[..., None] * np.array([1.0, 0.8, 0.9])
    return Image.fromarray((layers + 120).clip(0, 255).astype(np.uint8))


def jpeg(picture, quality=85):
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality)
    return Image.open(stream).convert("RGB")


def cropped(picture, left, top, right, bottom):
    w, h = picture.size
    return jpeg(
        picture.crop((round(left * w), round(top * h), round((1 - right) * w), round((1 - bottom) * h)))
    )


def scaled(picture, factor):
    size = (round(picture.width * factor), round(picture.height * factor))
    return jpeg(picture.resize(size, Image.Resampling.BICUBIC))


CHANGES = {
    "quality 30": lambda picture: jpeg(picture, 30),
    "quality 95": lambda picture: jpeg(picture, 95),
    "half": lambda picture: scaled(picture, 0.5),
    "twice": lambda picture: scaled(picture, 2),
    "2 % off one corner": lambda picture: cropped(picture, 0.02, 0.02, 0, 0),
    "5 % off one side": lambda picture: cropped(picture, 0, 0, 0.05, 0),
    "5 % off the frame": lambda picture: cropped(picture, 0.025, 0.025, 0.025, 0.025),
    "darker": lambda picture: jpeg(ImageEnhance.Brightness(picture).enhance(0.9)),
    "brighter": lambda picture: jpeg(ImageEnhance.Brightness(picture).enhance(1.1)),
    "grey": lambda picture: jpeg(picture.convert("L").convert("RGB")),
    "all": lambda picture: jpeg(
        scaled(ImageEnhance.Brightness(cropped(picture, 0.03, 0, 0, 0.03)).enhance(1.1), 0.7), 40
    ),
}


def thumbnails(pictures):
    return luma_of(np.stack([SmallCopies.of(picture).whole for picture in pictures]))


@pytest.fixture(scope="module")
def photos():
    return [textured(np.random.default_rng(seed)) for seed in range(12)]


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found_and_nothing_else(photos, change):
    copies = [CHANGES[change](photo) for photo in photos]
    n = len(photos)
    assert near_groups(thumbnails(photos + copies)) == [[place, place + n] for place in range(n)]
    assert near_groups(thumbnails(copies + photos)) == [[place, place + n] for place in range(n)]


def test_what_a_crop_has_lost_is_not_compared(photos):
    copies = thumbnails([cropped(photo, 0.08, 0, 0, 0) for photo in photos])
    originals = thumbnails(photos)
    assert duplicates._agreement(originals, copies).min() > 0.98
    assert duplicates._agreement(copies, originals).min() > 0.98


def test_the_same_shape_with_other_details_is_another_picture():
    shape = np.random.default_rng(0).normal(size=(5, 5))
    alike = thumbnails(
        [textured(np.random.default_rng(seed), shape=shape, details=0.4) for seed in range(20)]
    )
    assert len(duplicates._candidates(alike)) > 20  # they look alike: the proof has to tell them apart
    assert near_groups(alike) == []


def test_pictures_of_one_colour_have_no_duplicates():
    flat = thumbnails(
        [Image.new("RGB", (50, 40), colour) for colour in ("white", "white", "black", "#fefefe")]
    )
    assert is_flat(flat).all()
    assert near_groups(flat) == []


def test_a_thumbnail_does_not_depend_on_the_format_of_numbers(photos):
    small = thumbnails(photos[:1])[0]
    assert small.shape == (48, 48)
    assert small.dtype == np.uint8
    assert not is_flat(small[None])[0]


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_pictures_to_compare(photos, n):
    pairs, agreement = near_pairs(thumbnails([photos[0]] * 2)[:n])
    assert pairs.shape == (0, 2)
    assert agreement.shape == (0,)


def test_many_copies_of_one_photo_are_one_group(photos):
    copies = [jpeg(photos[0], quality) for quality in range(40, 90)]
    assert near_groups(thumbnails([*copies, *photos[1:]])) == [list(range(50))]


def test_a_long_chain_of_doubtful_pairs_is_taken_apart(monkeypatch):
    n = duplicates.LARGE_GROUP + 5
    chain = np.array([(place, place + 1) for place in range(n - 1)])
    agreement = np.full(n - 1, 0.93, dtype=np.float32)
    agreement[[3, 4]] = 0.99
    monkeypatch.setattr(duplicates, "near_pairs", lambda _: (chain, agreement))
    assert near_groups(np.zeros((n, 48, 48), dtype=np.uint8)) == [[3, 4, 5]]


def test_a_short_chain_holds(monkeypatch):
    chain = np.array([(0, 1), (1, 2), (5, 4)])
    monkeypatch.setattr(duplicates, "near_pairs", lambda _: (chain, np.full(3, 0.93, dtype=np.float32)))
    assert near_groups(np.zeros((6, 48, 48), dtype=np.uint8)) == [[0, 1, 2], [4, 5]]


def test_candidates_are_the_most_similar_pairs(photos, monkeypatch):
    monkeypatch.setattr(duplicates, "_BLOCK", 7)  # several blocks
    mixed = thumbnails([*photos, *(CHANGES["all"](photo) for photo in photos), Image.new("RGB", (9, 9))])
    spectra = duplicates.spectra(mixed[:-1])
    expected = {
        (one, other)
        for one, other in itertools.combinations(range(len(spectra)), 2)
        if spectra[one] @ spectra[other] >= duplicates._CANDIDATE_COSINE
    }
    assert set(map(tuple, duplicates._candidates(mixed).tolist())) == expected
    monkeypatch.setattr(duplicates, "_MOST_CANDIDATES", 3)
    kept = duplicates._candidates(mixed).tolist()
    cosines = sorted((spectra[one] @ spectra[other] for one, other in expected), reverse=True)
    assert [spectra[one] @ spectra[other] for one, other in kept] == pytest.approx(cosines[:3])


def test_connected_agrees_with_a_search():
    rng = random.Random(0)
    for _ in range(50):
        n = rng.randint(1, 30)
        pairs = [(rng.randrange(n), rng.randrange(n)) for _ in range(rng.randint(0, 25))]
        groups = []
        seen = set()
        for start in range(n):
            reached, border = {start}, [start]
            while border:
                here = border.pop()
                new = {b if a == here else a for a, b in pairs if here in (a, b)} - reached
                reached |= new
                border.extend(new)
            if start not in seen and len(reached) > 1:
                groups.append(sorted(reached))
            seen |= reached
        assert connected(n, pairs) == groups


@pytest.mark.real
def test_near_duplicates_of_real_photos_are_found(real):
    with zipfile.ZipFile(real / "data" / "dogs-vs-cats" / "train.zip") as archive:
        names = random.Random(0).sample(sorted(archive.namelist()), 30)
        photos = [Image.open(io.BytesIO(archive.read(name))).convert("RGB") for name in names]
    originals, found = thumbnails(photos), 0
    for change in CHANGES.values():
        copies = thumbnails([change(photo) for photo in photos])
        pairs, _ = near_pairs(np.concatenate([originals, copies]))
        correct = {(place, place + len(photos)) for place in range(len(photos))}
        assert set(map(tuple, pairs.tolist())) <= correct
        found += len(pairs)
    assert found >= 0.99 * len(CHANGES) * len(photos)
