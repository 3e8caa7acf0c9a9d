from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from catsdogs.core.errors import DataError, ModelError
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.core.records import ImageRecord
from catsdogs.data.preparation import prepare
from catsdogs.models.backbones import create_backbone
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.execution import Execution, Runner
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HeadSpec
from catsdogs.models.stages import find_stages
from catsdogs.transfer.cache import FeatureCache
from catsdogs.transfer.features import Features, extract_features, feature_space

SPEC = PreprocessSpec(32, 32)
ADVANCED: list[int] = []


@pytest.fixture
def classifier() -> ImageClassifier:
    torch.manual_seed(0)
    backbone = create_backbone("test_resnet")[0]
    stages = find_stages(backbone, SPEC)
    head = build_head(sum(stage.width for stage in stages), 2, HeadSpec())
    return ImageClassifier(backbone, head, SPEC, [stage.name for stage in stages])


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


def extract(
    classifier: ImageClassifier,
    records: list[ImageRecord],
    batch_size: int = 4,
    cache: FeatureCache | None = None,
    precision: str = "fp32",
) -> Features:
    ADVANCED.clear()
    runner = Runner(classifier, Execution(batch_size=batch_size, precision=precision))
    return extract_features(
        runner,
        records,
        SPEC,
        find_stages(classifier.backbone, SPEC),
        space=feature_space(classifier.backbone, "test_resnet", SPEC, runner),
        cache=cache or FeatureCache(cap_bytes=0),
        workers=2,
        advance=ADVANCED.append,
    )


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


def test_each_stage_has_its_columns(classifier, records) -> None:
    features = extract(classifier, records)
    names = [stage.name for stage in features.stages]
    assert names[-1] == "top"
    parts = [features.of([name]) for name in names]
    assert [part.shape[1] for part in parts] == [stage.width for stage in features.stages]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), features.values)
    np.testing.assert_array_equal(features.of(["top", "1"]), np.concatenate([parts[0], parts[-1]], axis=1))


def test_a_second_time_the_network_is_not_asked(classifier, records, tmp_path, monkeypatch) -> None:
    cache = FeatureCache(tmp_path / "features.sqlite")
    first = extract(classifier, records, cache=cache)
    monkeypatch.setattr(Runner, "features", lambda *_: pytest.fail("the backbone ran again"))
    # Other names, other places: what counts is what the pictures hold.
    moved = [replace(record, id=f"other-{record.id}") for record in reversed(first.records)]
    again = extract(classifier, moved, cache=cache)
    np.testing.assert_array_equal(again.values, first.values[::-1])
    assert sum(ADVANCED) == len(moved)


def test_a_changed_picture_is_seen_again(classifier, records, tmp_path) -> None:
    cache = FeatureCache(tmp_path / "features.sqlite")
    first = extract(classifier, records, cache=cache)
    Image.new("RGB", (60, 60), "red").save(Path(records[0].root, records[0].name))
    again = extract(classifier, records, cache=cache)
    assert not np.array_equal(again.values[0], first.values[0])
    np.testing.assert_array_equal(again.values[1:], first.values[1:])


def test_what_changes_the_numbers_changes_the_space(classifier) -> None:
    def space(**changes) -> str:
        runner = Runner(classifier, Execution(precision=changes.get("precision", "fp32")))
        spec = changes.get("spec", SPEC)
        return feature_space(classifier.backbone, changes.get("name", "test_resnet"), spec, runner)

    spaces = [
        space(),
        space(precision="bf16"),
        space(spec=PreprocessSpec(32, 32, crop_fraction=0.5)),
        space(name="test_resnet.r160_in1k"),
    ]
    with torch.no_grad():
        next(classifier.backbone.parameters()).add_(1e-3)
    spaces.append(space())
    assert len(set(spaces)) == len(spaces)
