from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from catsdogs.core.errors import DataError, ModelError
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.core.records import ImageRecord
from catsdogs.data.preparation import prepare
from catsdogs.models.backbones import create_backbone, feature_width
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.execution import Execution, Runner
from catsdogs.models.heads import HeadSpec, build_head
from catsdogs.transfer.features import Features, extract_features

SPEC = PreprocessSpec(32, 32)
ADVANCED: list[int] = []


@pytest.fixture
def classifier() -> ImageClassifier:
    torch.manual_seed(0)
    backbone = create_backbone("test_resnet")[0]
    return ImageClassifier(backbone, build_head(feature_width(backbone), 2, HeadSpec()), SPEC)


@pytest.fixture
def records(tmp_path: Path) -> list[ImageRecord]:
    """Ten pictures of noise; the third and the last are no pictures."""
    chance = np.random.default_rng(0)
    for number in range(10):
        pixels = chance.integers(0, 256, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    for broken in (2, 9):
        (tmp_path / f"{broken}.png").write_bytes(b"nothing")
    return [ImageRecord(f"{n}.png", str(tmp_path), f"{n}.png", label="cat") for n in range(10)]


def extract(classifier: ImageClassifier, records: list[ImageRecord], batch_size: int = 4) -> Features:
    ADVANCED.clear()
    runner = Runner(classifier, Execution(batch_size=batch_size))
    return extract_features(runner, records, SPEC, workers=2, advance=ADVANCED.append)


def test_features_are_those_of_the_evaluation_view(classifier, records) -> None:
    features = extract(classifier, records)
    opened = [Image.open(Path(record.root, record.name)) for record in features.records]
    pixels = np.stack([prepare(picture, SPEC) for picture in opened])
    with torch.no_grad():
        expected = classifier.eval().features(torch.from_numpy(pixels)).numpy()
    assert features.values.dtype == np.float32
    np.testing.assert_allclose(features.values, expected, rtol=0, atol=1e-5)


def test_unreadable_pictures_are_left_out_and_the_others_keep_their_order(classifier, records) -> None:
    features = extract(classifier, records)
    assert [record.id for record in features.records] == [f"{n}.png" for n in (0, 1, 3, 4, 5, 6, 7, 8)]
    assert sum(ADVANCED) == len(records)


def test_batch_size_changes_nothing(classifier, records) -> None:
    one, many = extract(classifier, records, batch_size=1), extract(classifier, records, batch_size=7)
    np.testing.assert_allclose(one.values, many.values, rtol=0, atol=1e-6)


def test_no_readable_picture_is_one_line(classifier, records) -> None:
    with pytest.raises(DataError, match=r"^none of the 2 pictures can be read any more$"):
        extract(classifier, [records[2], records[9]])


def test_damaged_weights_are_named(classifier, records) -> None:
    torch.nn.init.constant_(next(classifier.backbone.parameters()), torch.nan)
    with pytest.raises(ModelError, match="features that are not finite"):
        extract(classifier, records)
