import io
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageStat
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from catsdogs.core.errors import DataError, OutputError, PictureError
from catsdogs.data import generated
from catsdogs.data.decode import decode
from catsdogs.data.generated import KINDS, NOTE, DrawnStore, draw, write_folder
from catsdogs.data.layouts import find_labelled
from catsdogs.data.stores import open_store

_DIGEST = """
import hashlib
from catsdogs.data.generated import DrawnStore
store = DrawnStore("drawn:cat,dog?per_class=3&seed=5")
print(hashlib.sha256(b"".join(store.read(entry.name, 10**6) for entry in store.entries())).hexdigest())
"""
_LIMIT = 2**20
_OTHER_NAMES = (
    *("", "cat", "cat/", "cat/0000.jpg", "cat/0301.jpg", "cat/1.jpg", "cat/00001.jpg", "cat/0001.png"),
    *("rabbit/0001.jpg", "../cat/0001.jpg", "cat/0001.jpg/", "cat/0001.jpg.jpg", "cat/٠٠٠١.jpg"),
)
_WRONG_ROOTS = (
    *("drawn:", "drawn:unicorn", "drawn:cat,cat", "drawn:cat,", "drawn:\ncat", "drawn?seed=1", "drawnx"),
    *("drawn:cat?seed", "drawn:cat?seed=-1", "drawn:cat?seed=1&seed=2", "drawn:cat?sedd=1"),
    *("drawn:cat?size=8", "drawn:cat?size=9999", "drawn:cat?per_class=0", "drawn:cat?seed=99999999999"),
)


@dataclass(frozen=True)
class Drawn:
    """The 600 pictures of the default root as a reader gets them, and what is known of them at a glance."""

    labels: np.ndarray
    thumbnails: np.ndarray
    means: np.ndarray
    deviations: np.ndarray
    sizes: np.ndarray
    file_sizes: np.ndarray


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    store = DrawnStore("drawn")
    names = [entry.name for entry in store.entries()]
    files = [store.read(name, _LIMIT) for name in names]
    pictures = [decode(data) for data in files]
    statistics = [ImageStat.Stat(picture) for picture in pictures]
    return Drawn(
        labels=np.array([name.split("/")[0] == "dog" for name in names]),
        thumbnails=np.stack([_thumbnail(picture) for picture in pictures]),
        means=np.array([one.mean for one in statistics]),
        deviations=np.array([one.stddev for one in statistics]),
        sizes=np.array([picture.size for picture in pictures], dtype=np.float64),
        file_sizes=np.array([len(data) for data in files], dtype=np.float64),
    )


def _thumbnail(picture: Image.Image) -> np.ndarray:
    grey = picture.convert("L").resize((16, 16), Image.Resampling.BOX)
    return np.asarray(grey, dtype=np.float64).ravel()


def _accuracy(rows: np.ndarray, labels: np.ndarray) -> float:
    """Cross-validated accuracy of a regularised logistic regression; 0.5 is chance, its error about 0.02."""
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    return float(cross_val_score(probe, rows, labels, cv=5).mean())


class TestDraw:
    def test_same_arguments_give_the_same_picture_in_any_process(self) -> None:
        runs = [
            subprocess.run(
                [sys.executable, "-c", _DIGEST],
                capture_output=True,
                text=True,
                check=True,
                env={"PYTHONHASHSEED": seed},
            ).stdout
            for seed in ("1", "2")
        ]
        assert len(runs[0].strip()) == 64
        assert runs[0] == runs[1]

    def test_order_of_drawing_and_global_randomness_do_not_matter(self) -> None:
        np.random.seed(1)
        first = draw("dog", 7).tobytes()
        state = np.random.get_state()[1].copy()
        draw("cat", 3)
        np.random.seed(2)
        assert draw("dog", 7).tobytes() == first
        np.random.seed(1)
        assert np.array_equal(np.random.get_state()[1], state)

    @pytest.mark.parametrize("other", [("cat", 1, 0), ("dog", 0, 0), ("cat", 0, 1)])
    def test_kind_index_and_seed_each_give_another_picture(self, other: tuple[str, int, int]) -> None:
        kind, index, seed = other
        first = draw("cat", 0).resize((64, 64))
        second = draw(kind, index, seed=seed).resize((64, 64))
        difference = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
        assert np.abs(difference).mean() > 8

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("size_px", [32, 96, 160, 512])
    def test_every_kind_and_size_is_an_rgb_picture_of_about_that_size(self, kind: str, size_px: int) -> None:
        picture = draw(kind, 2, size_px=size_px)
        assert picture.mode == "RGB"
        assert 0.85 * size_px < (picture.width * picture.height) ** 0.5 < 1.15 * size_px
        assert np.asarray(picture).std() > 10

    def test_sides_vary_as_those_of_photos_do(self, drawn: Drawn) -> None:
        ratios = drawn.sizes[:, 0] / drawn.sizes[:, 1]
        assert ratios.min() < 0.8
        assert ratios.max() > 1.25
        assert len(np.unique(drawn.sizes, axis=0)) > 100

    def test_size_scales_the_same_scene(self) -> None:
        small, large = draw("cat", 4, size_px=96), draw("cat", 4, size_px=192)
        again = large.resize(small.size, Image.Resampling.BOX)
        correlation = np.corrcoef(_thumbnail(small), _thumbnail(again))[0, 1]
        assert correlation > 0.95

    @pytest.mark.parametrize(
        ("kind", "index", "seed", "size_px", "named"),
        [
            ("unicorn", 0, 0, 160, "unicorn"),
            ("Cat", 0, 0, 160, "Cat"),
            ("cat", -1, 0, 160, "count"),
            ("cat", 0, -1, 160, "seed"),
            ("cat", 0, 0, 8, "size"),
            ("cat", 0, 0, 5000, "size"),
        ],
    )
    def test_mistakes_are_named(self, kind: str, index: int, seed: int, size_px: int, named: str) -> None:
        with pytest.raises(DataError, match=named):
            draw(kind, index, seed=seed, size_px=size_px)

    def test_drawing_is_cheap(self) -> None:
        draw("cat", 0)
        started = time.process_time()
        for index in range(40):
            draw("dog", index)
        assert (time.process_time() - started) / 40 < 0.025


class TestTask:
    """It is a task, not a giveaway."""

    def test_no_two_of_600_pictures_are_alike(self, drawn: Drawn) -> None:
        assert len(np.unique(drawn.thumbnails, axis=0)) == 600
        centred = drawn.thumbnails - drawn.thumbnails.mean(axis=1, keepdims=True)
        centred /= np.linalg.norm(centred, axis=1, keepdims=True)
        likeness = centred @ centred.T - np.eye(len(centred))
        assert likeness.max() < 0.98

    def test_thumbnails_do_not_tell_the_kinds_apart(self, drawn: Drawn) -> None:
        assert _accuracy(drawn.thumbnails, drawn.labels) < 0.75

    def test_statistics_of_the_whole_picture_do_not_either(self, drawn: Drawn) -> None:
        ratios = drawn.sizes[:, 0] / drawn.sizes[:, 1]
        rows = np.column_stack([drawn.means, drawn.deviations, drawn.sizes, ratios, drawn.file_sizes])
        assert _accuracy(rows, drawn.labels) < 0.62

    @pytest.mark.parametrize("channel", [0, 1, 2])
    def test_brightness_is_the_same_for_both_kinds(self, drawn: Drawn, channel: int) -> None:
        cats, dogs = drawn.means[~drawn.labels, channel], drawn.means[drawn.labels, channel]
        error = np.hypot(cats.std() / len(cats) ** 0.5, dogs.std() / len(dogs) ** 0.5)
        assert abs(cats.mean() - dogs.mean()) < 3 * error
        assert cats.std() > 15

    def test_these_probes_notice_a_giveaway(self, drawn: Drawn) -> None:
        betrayed = drawn.thumbnails.copy()
        betrayed[drawn.labels, 0] += 100
        assert _accuracy(betrayed, drawn.labels) > 0.75


class TestDrawnStore:
    def test_default_root_is_300_cats_and_300_dogs(self) -> None:
        entries = DrawnStore("drawn").entries()
        names = [entry.name for entry in entries]
        assert names == sorted(names)
        assert (names[0], names[-1], len(names)) == ("cat/0001.jpg", "dog/0300.jpg", 600)

    def test_labels_come_from_the_names(self) -> None:
        layout = find_labelled("drawn:rabbit,cat,dog?per_class=4")
        assert layout.class_names == ("cat", "dog", "rabbit")
        assert [record.label for record in layout.records] == ["cat"] * 4 + ["dog"] * 4 + ["rabbit"] * 4

    def test_three_kinds_are_three_kinds_of_pictures(self) -> None:
        store = open_store("drawn:cat,dog,rabbit?per_class=2&seed=3&size=96")
        data = {entry.name: store.read(entry.name, _LIMIT) for entry in store.entries()}
        assert len(set(data.values())) == 6
        sides = [decode(found).size for found in data.values()]
        assert all(60 < min(size) <= max(size) < 150 for size in sides)

    def test_listing_draws_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(generated, "draw", None)
        assert len(DrawnStore("drawn:cat,dog?per_class=5000").entries()) == 10_000

    def test_estimated_size_is_of_the_right_order(self) -> None:
        store = DrawnStore("drawn:cat?per_class=20")
        entries = store.entries()
        found = np.mean([len(store.read(entry.name, _LIMIT)) for entry in entries])
        assert 0.5 < found / entries[0].size < 2

    def test_fingerprints_change_with_what_the_picture_depends_on(self) -> None:
        roots = ("drawn:cat?per_class=2", "drawn:cat?per_class=2&seed=1", "drawn:cat?per_class=2&size=96")
        prints = [entry.fingerprint for root in roots for entry in DrawnStore(root).entries()]
        assert len(set(prints)) == 6
        longer = DrawnStore("drawn:dog,cat?per_class=9").entries()
        assert longer[:2] == DrawnStore("drawn:cat?per_class=2").entries()

    def test_file_says_that_it_is_drawn(self) -> None:
        data = DrawnStore("drawn").read("dog/0012.jpg", _LIMIT)
        with Image.open(io.BytesIO(data)) as picture:
            assert picture.format == "JPEG"
            assert picture.info["comment"].decode() == NOTE
            assert picture.getexif()[0x010E] == NOTE
        assert "not a photo" in NOTE

    @pytest.mark.parametrize("name", _OTHER_NAMES)
    def test_other_names_are_refused(self, name: str) -> None:
        with pytest.raises(PictureError, match="no drawing of that name"):
            DrawnStore("drawn").read(name, _LIMIT)

    def test_limit_holds(self) -> None:
        with pytest.raises(PictureError, match="larger than 100 bytes"):
            DrawnStore("drawn").read("cat/0001.jpg", 100)

    @pytest.mark.parametrize("root", _WRONG_ROOTS)
    def test_wrong_root_is_one_line(self, root: str) -> None:
        with pytest.raises(DataError) as caught:
            DrawnStore(root)
        assert "\n" not in str(caught.value)
        assert "draw" in str(caught.value)


class TestWriteFolder:
    def _write(
        self, folder: Path, *, kinds: tuple[str, ...] = ("cat", "dog"), per_class: int = 3, seed: int = 0
    ) -> int:
        return write_folder(folder, kinds=kinds, per_class=per_class, seed=seed, size_px=64)

    def test_files_are_those_of_the_store(self, tmp_path: Path) -> None:
        told: list[int] = []
        count = write_folder(
            tmp_path / "new", kinds=["cat", "mouse"], per_class=3, seed=4, size_px=64, advance=told.append
        )
        folder, store = (
            open_store(str(tmp_path / "new")),
            DrawnStore("drawn:cat,mouse?per_class=3&seed=4&size=64"),
        )
        names = [entry.name for entry in store.entries()]
        assert count == sum(told) == 6
        assert [entry.name for entry in folder.entries()] == names
        assert all(folder.read(name, _LIMIT) == store.read(name, _LIMIT) for name in names)

    def test_earlier_drawings_make_way(self, tmp_path: Path) -> None:
        self._write(tmp_path, per_class=5, seed=1)
        self._write(tmp_path, kinds=("cat", "rabbit"), per_class=2)
        assert [entry.name for entry in open_store(str(tmp_path)).entries()] == [
            "cat/0001.jpg", "cat/0002.jpg", "rabbit/0001.jpg", "rabbit/0002.jpg",
        ]  # fmt: skip
        assert find_labelled(str(tmp_path)).class_names == ("cat", "rabbit")

    @pytest.mark.parametrize("name", ["cat/0001.jpg", "mine.png", "dog/deep/photo.jpeg", "notes.txt"])
    def test_a_folder_with_anything_else_is_left_alone(self, tmp_path: Path, name: str) -> None:
        photo = tmp_path / name
        photo.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), "red").save(photo, "PNG")
        before = photo.read_bytes()
        with pytest.raises(OutputError, match=photo.name):
            self._write(tmp_path)
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == [photo]
        assert photo.read_bytes() == before

    def test_a_link_is_not_a_drawing_of_ours(self, tmp_path: Path) -> None:
        self._write(tmp_path / "a", per_class=1)
        (tmp_path / "b").mkdir()
        (tmp_path / "b" / "link.jpg").symlink_to(tmp_path / "a" / "cat" / "0001.jpg")
        with pytest.raises(OutputError, match=r"link\.jpg"):
            self._write(tmp_path / "b")

    def test_a_linked_folder_is_not_written_through(self, tmp_path: Path) -> None:
        (tmp_path / "photos").mkdir()
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "cat").symlink_to(tmp_path / "photos")
        with pytest.raises(OutputError, match="cat"):
            self._write(tmp_path / "out")
        assert not list((tmp_path / "photos").iterdir())

    def test_a_drawing_that_cannot_be_removed_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self._write(tmp_path, per_class=1)

        def refuse(self: Path, missing_ok: bool = False) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "unlink", refuse)
        with pytest.raises(OutputError, match=r"0001\.jpg: Permission denied"):
            self._write(tmp_path, per_class=1)

    def test_hidden_files_of_the_system_do_not_count(self, tmp_path: Path) -> None:
        (tmp_path / ".DS_Store").write_bytes(b"x")
        assert self._write(tmp_path) == 6
        assert (tmp_path / ".DS_Store").exists()

    def test_mistakes_change_nothing(self, tmp_path: Path) -> None:
        self._write(tmp_path)
        with pytest.raises(DataError, match="unicorn"):
            self._write(tmp_path, kinds=("cat", "unicorn"))
        assert len(list(tmp_path.rglob("*.jpg"))) == 6

    def test_a_file_in_the_way_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "taken").write_text("x")
        with pytest.raises(OutputError, match="is not a folder"):
            self._write(tmp_path / "taken")
