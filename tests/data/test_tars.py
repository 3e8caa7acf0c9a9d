"""Tars: read where they are, whatever is in them; a compressed one is unpacked to the cache once."""

import gzip
import io
import os
import pickle
import random
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from catsdogs.core.errors import DataError, OutputError, PictureError
from catsdogs.data import tarmembers, tars, unpacked
from catsdogs.data.inputs import find_pictures
from catsdogs.data.stores import open_store
from catsdogs.data.tars import TarStore

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


class TestCompressed:
    @pytest.fixture(params=KINDS[1:])
    def path(self, request, tmp_path: Path) -> Path:
        return Path(make(tmp_path / f"photos{request.param}", FILES))

    def test_it_is_unpacked_once_a_version(self, path: Path, private_cache: Path, monkeypatch) -> None:
        opened = []
        original = tars._opened
        monkeypatch.setattr(tars, "_opened", lambda path: opened.append(path) or original(path))
        for order in (list(FILES), random.Random(0).sample(sorted(FILES), 30)):
            store = TarStore(str(path))
            assert {name: store.read(name, 2**20) for name in order} == FILES
        assert opened == [str(path)]
        assert len(list(private_cache.rglob("*.tar"))) == 1
        os.utime(path, (1, 1))
        TarStore(str(path))
        assert len(opened) == 2

    def test_damage_is_remembered_with_what_was_unpacked(self, path: Path) -> None:
        good = path.read_bytes()
        path.write_bytes(good[:-1])  # of the checksum: everything is there
        for _ in range(2):
            store = TarStore(str(path))
            assert store.damage
            assert all(store.read(name, 2**20) == FILES[name] for name in store.names())

    def test_what_is_no_tar_does_not_stay(self, tmp_path: Path, private_cache: Path) -> None:
        with gzip.open(tmp_path / "photos.tar.gz", "wb") as stream:
            stream.write(b"no tar" * 1000)
        with pytest.raises(DataError, match="not a folder or a readable archive"):
            open_store(str(tmp_path / "photos.tar.gz"))
        assert not [found for found in private_cache.rglob("*") if found.is_file()]

    def test_its_size_is_limited(self, path: Path, private_cache: Path, monkeypatch) -> None:
        monkeypatch.setattr(unpacked, "MAX_UNPACKED_BYTES", 10_000)
        with pytest.raises(DataError, match="unpacks to more than"):
            open_store(str(path))
        assert not [found for found in private_cache.rglob("*") if found.is_file()]

    def test_the_disk_is_not_filled(self, path: Path, private_cache: Path, monkeypatch) -> None:
        monkeypatch.setattr(unpacked, "LEFT_FREE_BYTES", 2**60)
        with pytest.raises(OutputError, match="no room on that disk"):
            open_store(str(path))
        assert not [found for found in private_cache.rglob("*") if found.is_file()]

    def test_its_kind_is_found_out_once(self, path: Path, monkeypatch) -> None:
        open_store(str(path))
        monkeypatch.setattr(tars, "is_tar", None)
        assert open_store(str(path)).read("1/01.jpg", 2**20) == FILES["1/01.jpg"]

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="processes do not fork here")
    @pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
    def test_forked_processes_do_not_disturb_each_other(self, path: Path) -> None:
        store = open_store(str(path))

        def all_there(start: int) -> bool:
            order = random.Random(start).choices(sorted(FILES), k=200)
            return all(store.read(name, 2**20) == FILES[name] for name in order)

        children = []
        for start in range(3):
            pid = os.fork()
            if not pid:
                os._exit(int(not all_there(start)))
            children.append(pid)
        assert all_there(9)
        assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0]


def header(name: str = "x", kind: bytes = tarfile.REGTYPE, size: int = 0) -> bytes:
    info = special(name, kind)
    info.size = size
    return info.tobuf(tarfile.USTAR_FORMAT)


def file(name: str, data: bytes = b"picture") -> bytes:
    return header(name, size=len(data)) + padded(data)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % tarfile.BLOCKSIZE)


def pax(kind: bytes = tarfile.XHDTYPE, **values: str) -> bytes:
    records = b""
    for key, value in values.items():
        rest = f" {key}={value}\n".encode()
        length = len(rest) + 1
        while len(str(length)) + len(rest) != length:
            length += 1
        records += str(length).encode() + rest
    return header("pax", kind, len(records)) + padded(records)


def sparse_and_nothing_behind() -> bytes:
    block = bytearray(header("sparse", tarfile.GNUTYPE_SPARSE))
    block[482] = 1  # "extended": more of the map follows
    block[148:156] = b"        "
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    return bytes(block)


@pytest.mark.parametrize("kind", [".tar", ".tar.gz"])
class TestHostileHeaders:
    @pytest.fixture
    def opened(self, kind: str, tmp_path: Path):
        def write(*parts: bytes) -> TarStore:
            path = tmp_path / f"photos{kind}"
            data = b"".join(parts) + bytes(1024)
            path.write_bytes(data if kind == ".tar" else gzip.compress(data))
            return TarStore(str(path))

        return write

    def test_a_negative_size_is_a_row(self, opened) -> None:
        store = opened(file("1.jpg"), pax(size="-1"), header("2.jpg", size=7), file("3.jpg"))
        assert [entry.size for entry in store.entries()] == [7, 0, 7]
        assert store.read("1.jpg", 99) == store.read("3.jpg", 99) == b"picture"
        with pytest.raises(PictureError, match="damaged: its size cannot be"):
            store.read("2.jpg", 99)

    def test_a_size_that_leads_back(self, opened) -> None:
        store = opened(file("1.jpg"), pax(size="-3000"), header("2.jpg", size=7))
        assert (list(store.names()), store.damage) == (["1.jpg"], "its table of contents leads back")

    @pytest.mark.parametrize("size", [2**16 + 1, 7 * 2**30])
    def test_a_huge_header_is_refused_before_it_is_read(self, opened, size: int) -> None:
        bomb = header("x", tarfile.XHDTYPE, size) + bytes(2**17)
        with pytest.raises(DataError, match="a header that cannot be"):
            opened(bomb)
        store = opened(file("1.jpg"), bomb)
        assert (list(store.names()), store.damage) == (["1.jpg"], "it is truncated")

    def test_many_headers_before_one_member(self, opened) -> None:
        long_name = header("x", tarfile.GNUTYPE_LONGNAME, 5) + padded(b"1.jpg")
        for block in (long_name, header("x", tarfile.GNUTYPE_LONGNAME), pax(comment="x")):
            store = opened(file("1.jpg"), block * 600, file("2.jpg"))
            assert list(store.names()) == ["1.jpg"]
            assert store.damage

    def test_a_header_that_takes_seconds(self, opened) -> None:
        started = time.perf_counter()
        store = opened(file("1.jpg"), pax(comment="1" * 60_000), file("2.jpg"))
        assert time.perf_counter() - started < 1
        assert (list(store.names()), store.damage) == (["1.jpg"], "it is truncated")
        assert not opened(file("1.jpg"), pax(comment="1" * 99 + "x" * 2000), file("2.jpg")).damage

    def test_headers_for_all_that_follow(self, opened) -> None:
        parts = [pax(tarfile.XGLTYPE, **{f"k{n}": "v"}) + file(f"{n}.jpg") for n in range(100)]
        assert not opened(*parts[:64]).damage
        store = opened(*parts)
        assert store.damage == "it has headers that cannot be"
        assert len(list(store.names())) == 64

    def test_names_that_fill_memory(self, opened, monkeypatch) -> None:
        monkeypatch.setattr(tarmembers, "MOST_TABLE_BYTES", 2**20)
        long = (pax(path=f"{n}" + "x" * 60_000) + file("x") for n in range(20))
        with pytest.raises(DataError, match="lists more than fits into memory"):
            opened(*long)
        with pytest.raises(DataError, match="lists more than fits into memory"):
            opened(file("x") * 5000)

    def test_a_sparse_map_that_never_ends(self, opened) -> None:
        block = bytearray(sparse_and_nothing_behind())
        store = opened(file("1.jpg"), bytes(block), (bytes(504) + b"\1" + bytes(7)) * 1000)
        assert list(store.names()) == ["1.jpg"]
        assert store.damage

    def test_random_damage_ends_in_our_errors_only(self, opened) -> None:
        chance = random.Random(0)
        good = b"".join(
            (
                pax(path="ä.jpg", size="7"),
                file("1.jpg"),
                header("x", tarfile.GNUTYPE_LONGNAME, 6) + padded(b"2.jpg\0"),
                file("2.jpg"),
                sparse_and_nothing_behind(),
                bytes(512),
                pax(tarfile.XGLTYPE, mtime="1.5"),
                file("3.jpg"),
            )
        )
        for _ in range(150):
            data = bytearray(good)
            for _ in range(chance.randrange(1, 4)):
                block = 512 * chance.randrange(len(data) // 512)
                data[block + chance.choice([chance.randrange(512), 124, 156, 482])] = chance.choice(
                    b"0-9\x80\xffLSxg"
                )
                if chance.random() < 0.8:  # most damage would be found by the checksum alone
                    data[block + 148 : block + 156] = b"        "
                    total = sum(data[block : block + 512])
                    data[block + 148 : block + 156] = f"{total:06o}\0 ".encode()
            try:
                store = opened(bytes(data[: chance.choice([len(data), chance.randrange(len(data))])]))
            except DataError:
                continue
            for entry in store.entries():
                try:
                    assert len(store.read(entry.name, 2**20)) == entry.size
                except PictureError:
                    continue


def test_headers_alone_and_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "photos.tar").write_bytes(file("1.jpg") + sparse_and_nothing_behind())
    store = open_store(str(tmp_path / "photos.tar"))
    assert (list(store.names()), store.damage) == (["1.jpg"], "it is damaged")
    (tmp_path / "photos.tar").write_bytes(sparse_and_nothing_behind())
    with pytest.raises(DataError, match="a header that cannot be"):
        open_store(str(tmp_path / "photos.tar"))


def test_no_tar(tmp_path: Path) -> None:
    for name in ("photos.tar", "photos.tar.gz"):
        (tmp_path / name).write_bytes(b"nothing" * 200)
        with pytest.raises(DataError, match="not a folder or a readable archive"):
            open_store(str(tmp_path / name))
