import io
import itertools
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from catsdogs.core.errors import DataError, PictureError
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.core.records import ImageRecord
from catsdogs.data import stream
from catsdogs.data.decode import DecodeLimits
from catsdogs.data.stores import open_store
from catsdogs.data.stream import Batch, batches, read_picture
from catsdogs.data.views import VIEWS

SPEC = PreprocessSpec(16, 16, crop_fraction=1.0)


@pytest.fixture
def zipped(tmp_path: Path):
    """A function: bytes of files -> their records in a zip."""

    def write(contents: list[bytes]) -> list[ImageRecord]:
        root = str(tmp_path / "pictures.zip")
        names = [f"{position:05d}.png" for position in range(len(contents))]
        with zipfile.ZipFile(root, "w") as archive:
            for name, content in zip(names, contents, strict=True):
                archive.writestr(name, content)
        return [ImageRecord(id=name, root=root, name=name) for name in names]

    return write


def png(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 16), (shade, shade, shade)).save(buffer, "PNG")
    return buffer.getvalue()


def shades(batch: Batch) -> list[int]:
    return batch.pixels[:, 0, 0, 0, 0].tolist()


def stream_of(records, *, batch_size: int = 4, workers: int = 2, views: str = "none") -> list[Batch]:
    return list(batches(records, spec=SPEC, views=VIEWS[views], batch_size=batch_size, workers=workers))


class TestReadPicture:
    def test_reads_decodes_and_scales(self, tmp_path: Path) -> None:
        Image.new("RGB", (900, 600), "red").save(tmp_path / "a.jpg")
        record = ImageRecord("a", str(tmp_path), "a.jpg")
        assert read_picture(record).size == (900, 600)
        assert read_picture(record, at_least_px=(100, 100)).size == (450, 300)

    def test_a_file_that_is_gone(self, tmp_path: Path) -> None:
        with pytest.raises(PictureError):
            read_picture(ImageRecord("a", str(tmp_path), "a.jpg"))

    def test_the_limit_of_bytes_holds_before_reading(self, zipped) -> None:
        record = zipped([png(1)])[0]
        with pytest.raises(PictureError, match="bytes"):
            read_picture(record, limits=DecodeLimits(max_bytes=10))


class TestBatches:
    @pytest.mark.parametrize("workers", [0, 1, 3])
    def test_every_picture_once_in_order(self, workers: int, zipped) -> None:
        records = zipped([png(shade) for shade in range(10)])
        found = stream_of(records, workers=workers)
        assert [batch.start for batch in found] == [0, 4, 8]
        assert [record for batch in found for record in batch.records] == records
        assert [shade for batch in found for shade in shades(batch)] == list(range(10))
        assert [len(batch.good) for batch in found] == [4, 4, 2]

    def test_shapes_and_types(self, zipped) -> None:
        batch = stream_of(zipped([png(1), b"", png(2)]), views="ten")[0]
        assert batch.pixels.shape == (2, 10, 16, 16, 3)
        assert batch.pixels.dtype == np.uint8
        assert batch.good.dtype == np.int64
        assert batch.good.tolist() == [0, 2]
        assert batch.errors == {1: "empty file"}

    def test_broken_files_do_not_change_which_pictures_come_together(self, zipped) -> None:
        contents = []
        for shade in range(10):
            contents += [b"", b"no picture"] * shade + [png(shade)]
        found = stream_of(zipped([*contents, b""]))
        assert [shades(batch) for batch in found] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
        assert sum(len(batch.errors) for batch in found) == 2 * 45 + 1

    def test_positions_lead_back_to_the_records(self, zipped) -> None:
        contents = [png(n) if n % 3 else b"x" for n in range(40)]
        records = zipped(contents)
        for batch in stream_of(records):
            assert batch.records == tuple(records[batch.start : batch.start + len(batch.records)])
            assert sorted([*batch.good.tolist(), *batch.errors]) == list(range(len(batch.records)))
            assert [int(batch.records[position].id[:5]) for position in batch.good] == shades(batch)

    def test_nothing_but_broken_files(self, zipped) -> None:
        (batch,) = stream_of(zipped([b"", b"x"]))
        assert batch.pixels.shape == (0, 1, 16, 16, 3)
        assert batch.good.tolist() == []
        assert set(batch.errors) == {0, 1}

    def test_no_records(self) -> None:
        assert stream_of([]) == []

    def test_a_batch_does_not_grow_without_end(self, zipped, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stream, "_MOST_RECORDS", 10)
        found = stream_of(zipped([b""] * 35), batch_size=1)
        assert [len(batch.records) for batch in found] == [10, 10, 10, 5]
        assert [batch.start for batch in found] == [0, 10, 20, 30]

    def test_records_are_pulled_lazily(self, zipped) -> None:
        pulled = []

        def endless() -> Iterator[ImageRecord]:
            for record in itertools.cycle(records):
                pulled.append(record)
                yield record

        records = zipped([png(1)])
        found = batches(endless(), spec=SPEC, views=VIEWS["none"], batch_size=4, workers=2)
        next(found)
        # One batch, and what is on its way for the next: two batches and four a thread.
        assert len(pulled) <= 4 + (2 * 4 + 4 * 2)
        found.close()

    def test_memory_that_runs_out_is_the_reason_of_one_picture(
        self, zipped, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real_render, calls = stream.render, itertools.count()

        def failing_once(*args: object) -> np.ndarray:
            if next(calls) == 1:
                raise MemoryError
            return real_render(*args)

        monkeypatch.setattr(stream, "render", failing_once)
        (batch,) = stream_of(zipped([png(1), png(2), png(3)]), workers=0)
        assert batch.errors == {1: "not enough memory"}

    def test_a_root_that_is_gone_is_the_users_mistake(self, tmp_path: Path) -> None:
        record = ImageRecord("a", str(tmp_path / "none.zip"), "a.jpg")
        with pytest.raises(DataError):
            stream_of([record])


@pytest.mark.real
def test_good_photos_among_broken_files_come_as_if_alone(real: Path) -> None:
    roots = [str(real / "data" / name) for name in ("dogs-vs-cats/test1.zip", "hostile.zip")]
    photos, hostile = (
        [ImageRecord(entry.name, root, entry.name) for entry in open_store(root).entries()] for root in roots
    )
    photos, hostile = photos[:24], hostile[::4]
    mixed = hostile[:]
    for place, photo in enumerate(photos):
        mixed.insert(place * 50, photo)
    alone = {record.id: pixels for record, pixels in _pictures(photos)}
    among = {record.id: pixels for record, pixels in _pictures(mixed)}
    assert len(alone) == 24
    assert all((among[name] == pixels).all() for name, pixels in alone.items())


def _pictures(records: list[ImageRecord]) -> Iterator[tuple[ImageRecord, np.ndarray]]:
    for batch in stream_of(records, batch_size=8):
        for position, pixels in zip(batch.good, batch.pixels, strict=True):
            yield batch.records[position], pixels
