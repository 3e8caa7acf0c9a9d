"""Tars: read where they are, whatever is in them; nothing is unpacked to disk."""

import gzip
import io
import pickle
import random
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from catsdogs.core.errors import DataError, PictureError
from catsdogs.data import tars
from catsdogs.data.inputs import find_pictures
from catsdogs.data.stores import open_store

FILES = {f"{n % 3}/{n:02d}.jpg": bytes([n]) * (n * 700) for n in range(30)}
KINDS = [".tar", ".tar.gz", ".tar.bz2"]


def make(path: Path, files: dict[str, bytes], *others: tarfile.TarInfo) -> str:
    with tarfile.open(path, "w:" + path.suffix.lstrip(".").replace("tar", "")) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in others:
            archive.addfile(info)
    return str(path)


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize("kind", KINDS)
class TestReading:
    def test_every_file_in_any_order(self, kind: str, tmp_path: Path) -> None:
        store = open_store(make(tmp_path / f"photos{kind}", FILES))
        assert list(store.names()) == [entry.name for entry in store.entries()] == sorted(FILES)
        for order in (sorted(FILES), list(FILES), random.Random(0).sample(sorted(FILES), 30)):
            assert {name: store.read(name, 2**20) for name in order} == FILES

    def test_by_threads(self, kind: str, tmp_path: Path) -> None:
        store = open_store(make(tmp_path / f"photos{kind}", FILES))
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda name: store.read(name, 2**20), FILES))
        assert found == list(FILES.values())

    def test_it_is_known_by_its_content_and_may_be_pickled(self, kind: str, tmp_path: Path) -> None:
        Path(make(tmp_path / f"photos{kind}", FILES)).rename(tmp_path / "blob")
        store = pickle.loads(pickle.dumps(open_store(str(tmp_path / "blob"))))
        assert store.read("1/01.jpg", 2**20) == FILES["1/01.jpg"]
        assert len(find_pictures(str(tmp_path / "blob"))) == 30

    def test_a_listed_path_goes_into_it(self, kind: str, tmp_path: Path) -> None:
        root = make(tmp_path / f"photos{kind}", FILES)
        (record,) = find_pictures(f"{root}/1/01.jpg")
        assert (record.root, record.name) == (root, "1/01.jpg")

    def test_hostile_members_are_rows(self, kind: str, tmp_path: Path) -> None:
        files = {
            "../../up.jpg": b"up",
            "/etc/passwd": b"root",
            "a.jpg": b"1",
            "./a.jpg": b"2",
            "line\n.jpg": b"3",
        }
        others = (
            special("link", tarfile.SYMTYPE, "/etc/passwd"),
            special("hard", tarfile.LNKTYPE, "a.jpg"),
            special("device", tarfile.CHRTYPE),
            special("pipe", tarfile.FIFOTYPE),
            special("folder", tarfile.DIRTYPE),
        )
        store = open_store(make(tmp_path / f"photos{kind}", files, *others))
        readable = {
            "../../up.jpg": b"up",
            "/etc/passwd": b"root",
            "a.jpg": b"1",
            "a (2).jpg": b"2",
            "line\n.jpg": b"3",
        }
        assert sorted(store.names()) == sorted([*readable, "link", "hard", "device", "pipe"])
        assert {name: store.read(name, 9) for name in readable} == readable
        for name in ("link", "hard", "device", "pipe"):
            with pytest.raises(PictureError, match="not a regular file"):
                store.read(name, 9)
        assert list(tmp_path.iterdir()) == [Path(store.root)]

    def test_too_large_is_known_before_reading(self, kind: str, tmp_path: Path, monkeypatch) -> None:
        store = open_store(make(tmp_path / f"photos{kind}", FILES))
        monkeypatch.setattr(store, "_file", None)
        with pytest.raises(PictureError, match="larger than 100 bytes"):
            store.read("2/29.jpg", 100)

    @pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
    def test_a_truncated_archive_gives_what_it_has(self, kind: str, share: float, tmp_path: Path) -> None:
        chance = random.Random(0)
        files = {name: chance.randbytes(len(data)) for name, data in FILES.items()}
        path = Path(make(tmp_path / f"photos{kind}", files))
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
        try:
            store = open_store(str(path))
        except DataError:
            assert kind == ".tar.bz2"  # one block of bzip2 is all or nothing
            return
        assert store.damage
        outcomes = set()
        for name in store.names():
            try:
                assert store.read(name, 2**20) == files[name]
                outcomes.add("read")
            except PictureError as error:
                outcomes.add(str(error))
        assert outcomes <= {"read", "truncated", "damaged"}


def test_a_huge_header_is_refused_before_it_is_read(tmp_path: Path) -> None:
    header = special("x", tarfile.XHDTYPE)
    header.size = 7 * 2**30
    path = tmp_path / "bomb.tar.gz"
    with gzip.open(path, "wb") as stream:
        stream.write(header.tobuf(tarfile.USTAR_FORMAT) + bytes(2**20))
    with pytest.raises(DataError, match="a header that cannot be"):
        open_store(str(path))


def test_an_archive_that_unpacks_without_end(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(tars, "MAX_UNPACKED_BYTES", 10_000)
    with pytest.raises(DataError, match="unpacks to more than"):
        open_store(make(tmp_path / "bomb.tar.gz", FILES))


def test_no_tar(tmp_path: Path) -> None:
    for name in ("photos.tar", "photos.tar.gz"):
        (tmp_path / name).write_bytes(b"nothing" * 200)
        with pytest.raises(DataError, match="not a folder or a readable archive"):
            open_store(str(tmp_path / name))
