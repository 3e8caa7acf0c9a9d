from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from catsdogs.core.errors import ConfigError
from catsdogs.core.merging import log_mean_probability
from catsdogs.core.predictions import UNLABELLED, Predictions, softmax
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.core.records import ImageRecord
from catsdogs.data.preparation import prepare
from catsdogs.inference.predictor import Predictor, collect
from catsdogs.models.backbones import create_backbone, feature_width
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.execution import Execution, Runner
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HeadSpec
from catsdogs.models.modelcard import ModelCard

# A 50 x 40 picture becomes 40 x 32, whose crop lies in the middle to the pixel.
SPEC = PreprocessSpec(32, 32, crop_fraction=1.0)
CARD = ModelCard("test_resnet", ("cat", "dog", "fox"), SPEC, temperature=0.25)


@pytest.fixture(scope="module")
def runner() -> Runner:
    torch.manual_seed(0)
    backbone = create_backbone("test_resnet")[0]
    head = build_head(feature_width(backbone), 3, HeadSpec())
    torch.nn.init.normal_(head.fc.weight)  # so that answers differ
    return Runner(ImageClassifier(backbone, head, SPEC), Execution(batch_size=4))


@pytest.fixture
def good(tmp_path: Path) -> list[ImageRecord]:
    """Nine readable pictures, each of a colour of its own."""
    chance = np.random.default_rng(0)
    noise = chance.integers(0, 256, (9, 40, 50, 3)) * chance.random((9, 1, 1, 3))
    return [picture(tmp_path, f"good{n}.png", pixels) for n, pixels in enumerate(noise)]


def picture(folder: Path, name: str, pixels) -> ImageRecord:
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(folder / name)
    return ImageRecord(name, str(folder), name)


def broken(folder: Path, name: str) -> ImageRecord:
    (folder / name).write_bytes(b"nothing")
    return ImageRecord(name, str(folder), name)


def predict(runner: Runner, records: Sequence[ImageRecord], *, tta: str = "none") -> Predictions:
    return collect(Predictor(runner, CARD, tta=tta, workers=2).answers(records), CARD.class_names)


def by_hand(runner: Runner, records: Sequence[ImageRecord], *, mirror: bool = False):
    """Calibrated logits of one view, made without the stream."""
    opened = [Image.open(Path(record.root, record.name)) for record in records]
    pixels = np.stack([prepare(picture, SPEC) for picture in opened])
    return runner.logits(pixels[:, :, ::-1] if mirror else pixels) / CARD.temperature


class TestPredict:
    def test_logits_are_the_networks_divided_by_the_temperature(self, runner, good) -> None:
        predictions = predict(runner, good)
        np.testing.assert_allclose(predictions.logits, by_hand(runner, good), rtol=0, atol=1e-5)
        assert predictions.ids == tuple(record.id for record in good)
        assert predictions.class_names == CARD.class_names
        assert set(predictions.labels) == {UNLABELLED}
        assert predictions.logits.std(axis=0).min() > 0.1  # the test can tell pictures apart

    def test_random_views_are_drawn_as_one_is_told(self, runner, good) -> None:
        def draw(picture: Image.Image, number: int):
            return 255 - prepare(picture, SPEC) // number

        predictor = Predictor(
            runner, CARD, tta="random:2", merge="mean", keep_views=True, draw=draw, workers=2
        )
        views = collect(predictor.answers(good), CARD.class_names).views
        pixels = [prepare(Image.open(Path(record.root, record.name)), SPEC) for record in good]
        for number, said in enumerate(views.logits, start=1):
            expected = runner.logits(255 - np.stack(pixels) // number) / CARD.temperature
            np.testing.assert_allclose(said, expected, rtol=0, atol=1e-5)
        np.testing.assert_allclose(views.plain, by_hand(runner, good), rtol=0, atol=1e-5)

    def test_flip_is_the_mean_of_the_probabilities_of_a_picture_and_its_mirror_image(
        self, runner, good
    ) -> None:
        views = by_hand(runner, good), by_hand(runner, good, mirror=True)
        expected = (softmax(views[0]) + softmax(views[1])) / 2
        predictions = predict(runner, good, tta="flip")
        np.testing.assert_allclose(predictions.probabilities, expected, rtol=0, atol=1e-6)
        assert np.abs(expected - softmax(views[0])).max() > 0.01

    def test_a_mirror_image_gets_the_same_answer_under_flip(self, runner, good, tmp_path: Path) -> None:
        pixels = [np.asarray(Image.open(Path(record.root, record.name))) for record in good]
        mirrored = [picture(tmp_path, f"mirror{n}.png", each[:, ::-1]) for n, each in enumerate(pixels)]
        one, other = predict(runner, good, tta="flip"), predict(runner, mirrored, tta="flip")
        np.testing.assert_allclose(one.logits, other.logits, rtol=0, atol=1e-3)

    @pytest.mark.parametrize(("tta", "views"), [("five", 5), ("ten", 10)])
    def test_more_views_than_a_batch_holds(self, tta: str, views: int, runner, good) -> None:
        plain = Image.new("RGB", (40, 50), (200, 30, 90))
        plain.save(Path(good[0].root, "plain.png"))
        record = ImageRecord("plain.png", good[0].root, "plain.png")
        # Every view of a plain picture is the same picture.
        one, many = predict(runner, [record]), predict(runner, [record], tta=tta)
        np.testing.assert_allclose(many.probabilities, one.probabilities, rtol=0, atol=1e-6)
        assert not np.allclose(predict(runner, good).logits, predict(runner, good, tta=tta).logits, atol=1e-3)

    def test_unknown_views_are_refused_at_once(self, runner) -> None:
        with pytest.raises(ConfigError, match="unknown views 'nine'"):
            Predictor(runner, CARD, tta="nine", workers=0)

    def test_no_records_give_no_predictions(self, runner) -> None:
        assert predict(runner, []).logits.shape == (0, 3)


class TestUnreadable:
    @pytest.mark.parametrize("tta", ["none", "flip"])
    def test_errors_keep_their_rows_and_change_no_score(self, tta: str, runner, good, tmp_path: Path) -> None:
        mixed: list[ImageRecord] = []
        for number, record in enumerate(good):
            mixed += [broken(tmp_path, f"bad{number}-{i}.png") for i in range(number % 4)] + [record]
        predictions = predict(runner, mixed, tta=tta)
        assert predictions.ids == tuple(record.id for record in mixed)
        bad = [position for position, record in enumerate(mixed) if record.id.startswith("bad")]
        assert sorted(predictions.errors) == bad
        assert set(predictions.errors.values()) == {"not a picture of an allowed format"}
        assert np.isnan(predictions.logits[bad]).all()
        alone = predict(runner, good, tta=tta)
        np.testing.assert_allclose(predictions.logits[predictions.readable], alone.logits, rtol=0, atol=1e-6)

    def test_nothing_but_broken_files(self, runner, tmp_path: Path) -> None:
        predictions = predict(runner, [broken(tmp_path, f"{n}.jpg") for n in range(6)], tta="ten")
        assert len(predictions.errors) == len(predictions) == 6
        assert set(predictions.predicted) == {UNLABELLED}

    def test_a_missing_file_is_a_row(self, runner, good) -> None:
        missing = ImageRecord("gone.png", good[0].root, "gone.png")
        predictions = predict(runner, [good[0], missing, good[1]])
        assert list(predictions.errors) == [1]
        assert predictions.readable.tolist() == [True, False, True]


class TestAnswers:
    def test_come_in_order_while_later_pictures_wait(self, runner, good) -> None:
        asked: list[str] = []

        def endless():
            while True:
                asked.append(good[len(asked) % 9].id)
                yield good[(len(asked) - 1) % 9]

        answers = Predictor(runner, CARD, workers=2).answers(endless())
        first = next(answers)
        assert [record.id for record in first.records] == [record.id for record in good[:4]]
        assert len(asked) < 30
        answers.close()

    def test_progress_counts_every_record(self, runner, good, tmp_path: Path) -> None:
        counts: list[int] = []
        records = [*good, broken(tmp_path, "bad.png")]
        list(Predictor(runner, CARD, workers=1).answers(records, counts.append))
        assert sum(counts) == len(records)


def test_merged_logits_give_the_merged_probabilities_back() -> None:
    views = np.random.default_rng(0).normal(size=(3, 4, 2))
    np.testing.assert_allclose(softmax(log_mean_probability(views)), softmax(views).mean(axis=0))
