from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from catsdogs.core.predictions import UNLABELLED, Predictions
from catsdogs.core.records import ImageRecord
from catsdogs.workflows import gallery
from catsdogs.workflows.gallery import telling_positions, write_gallery


def predictions(shares_of_dog, labels, errors=None) -> Predictions:
    """Two classes, cat and dog; labels 0 and 1."""
    shares = np.asarray(shares_of_dog, dtype=np.float64)
    logits = np.log(np.stack([1 - shares, shares], axis=1))
    errors = errors or {}
    logits[list(errors)] = np.nan
    ids = tuple(f"{n}.png" for n in range(len(shares)))
    return Predictions(ids, ("cat", "dog"), logits, np.asarray(labels, dtype=np.int64), errors)


class TestTellingPositions:
    def test_mistakes_first_then_doubts(self) -> None:
        said = predictions([0.6, 0.1, 0.99, 0.55, 0.2, 0.9], [0, 0, 0, 1, 0, 1])
        # Wrong: 2 (sure) and 0. Right, the least sure first: 3, 4, then 1 and 5 alike.
        assert telling_positions(said)[:4] == [2, 0, 3, 4]
        assert sorted(telling_positions(said)[4:]) == [1, 5]

    def test_unreadable_and_unlabelled_pictures_tell_nothing(self) -> None:
        said = predictions([0.9, 0.9, 0.9], [0, UNLABELLED, 0], errors={0: "damaged"})
        assert telling_positions(said) == [2]

    def test_ten_of_each_at_most(self) -> None:
        chance = np.random.default_rng(0)
        labels = np.arange(100) % 2
        said = predictions(chance.uniform(0.01, 0.99, 100), labels)
        wrong = [said.predicted[position] != labels[position] for position in telling_positions(said)]
        assert wrong == [True] * 10 + [False] * 10

    def test_nothing_tells_nothing(self) -> None:
        assert telling_positions(predictions([], [])) == []


class TestWriteGallery:
    @pytest.fixture
    def records(self, tmp_path: Path) -> list[ImageRecord]:
        for n in range(3):
            Image.new("RGB", (30, 20 + n), (90 * n, 0, 0)).save(tmp_path / f"{n}.png")
        return [ImageRecord(f"{n}.png", str(tmp_path), f"{n}.png", label="cat") for n in range(3)]

    @pytest.fixture
    def drawn(self, monkeypatch) -> list[tuple]:
        calls: list[tuple] = []
        draw = gallery.draw_gallery
        monkeypatch.setattr(gallery, "draw_gallery", lambda *args: (calls.append(args), draw(*args))[1])
        return calls

    def test_pictures_have_their_answer_and_the_truth_where_it_differs(
        self, records, drawn, tmp_path
    ) -> None:
        write_gallery(tmp_path / "g.png", predictions([0.9, 0.2, 0.4], [0, 0, 0]), records)
        pictures, captions, _ = drawn[0]
        assert captions == ["dog 90%, is cat", "cat 60%", "cat 80%"]
        assert [picture.getpixel((0, 0))[0] for picture in pictures] == [0, 180, 90]
        with Image.open(tmp_path / "g.png") as written:
            assert written.size[0] > 500

    def test_large_pictures_are_made_small(self, records, drawn, tmp_path) -> None:
        Image.new("RGB", (3000, 1000)).save(tmp_path / "0.png")
        write_gallery(tmp_path / "g.png", predictions([0.9], [0]), records[:1])
        assert drawn[0][0][0].size == (200, 67)

    def test_a_picture_that_has_gone_is_left_out(self, records, drawn, tmp_path) -> None:
        (tmp_path / "0.png").unlink()
        write_gallery(tmp_path / "g.png", predictions([0.9, 0.2, 0.4], [0, 0, 0]), records)
        assert drawn[0][1] == ["cat 60%", "cat 80%"]

    def test_nothing_to_show_writes_nothing(self, records, tmp_path: Path) -> None:
        write_gallery(tmp_path / "g.png", predictions([0.5], [UNLABELLED]), records[:1])
        assert not (tmp_path / "g.png").exists()
