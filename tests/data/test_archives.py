import io
import os
import pickle
import random
import shutil
import struct
import tracemalloc
import warnings
import zipfile
import zlib
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace

import pytest

from catsdogs.core.errors import DataError, OutputError, PictureError
from catsdogs.data import unpacked
from catsdogs.data.archives import ZipStore, open_zip
from catsdogs.data.stores import open_store

LIMIT = 2**20
RNG = random.Random(0)
FILES = {f"cat/{i}.jpg": RNG.randbytes(RNG.randrange(5000)) + bytes(RNG.randrange(5000)) for i in range(40)}


def make_zip(path: Path | io.BytesIO, files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", method) as archive:
        warnings.simplefilter("ignore")  # the same name twice
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    make_zip(stream, files, method)
    return stream.getvalue()


def names(root: Path) -> list[str]:
    return [entry.name for entry in open_store(str(root)).entries()]


def reason(root: Path, name: str, limit_bytes: int = LIMIT) -> str:
    with pytest.raises(PictureError) as caught:
        open_store(str(root)).read(name, limit_bytes)
    return str(caught.value)


def patched(path: Path, old: bytes, new: bytes) -> Path:
    data = path.read_bytes()
    assert data.count(old) >= 1
    path.write_bytes(data.replace(old, new))
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("before", [b"", b"#!/bin/sh self-extracting\n"])
def test_it_reads_what_zipfile_reads(tmp_path, method, before):
    path = tmp_path / "photos.zip"
    path.write_bytes(before + zipped(FILES, method))
    store = open_store(str(path))
    with zipfile.ZipFile(path) as reference:
        assert [entry.name for entry in store.entries()] == sorted(reference.namelist())
        assert all(store.read(name, LIMIT) == reference.read(name) for name in FILES)
    assert {entry.name: entry.size for entry in store.entries()} == {n: len(d) for n, d in FILES.items()}


@pytest.mark.parametrize("size", [2**20 - 1, 2**20, 2**20 + 1, 2**20 + 100, 3 * 2**20])
def test_members_around_the_size_of_a_piece_come_whole(tmp_path, size):
    for number, data in enumerate([bytes(size), random.Random(size).randbytes(size)]):
        path = make_zip(tmp_path / f"{number}.zip", {"1.jpg": data}, zipfile.ZIP_DEFLATED)
        assert open_store(str(path)).read("1.jpg", 2**22) == data


def test_files_written_to_a_pipe_and_in_zip64_are_read(tmp_path):
    path = tmp_path / "photos.zip"
    with path.open("wb") as raw, zipfile.ZipFile(Unseekable(raw), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in FILES.items():
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(data)
    store = open_store(str(path))
    assert all(store.read(name, LIMIT) == data for name, data in FILES.items())


class Unseekable(io.RawIOBase):
    def __init__(self, raw: io.BufferedWriter) -> None:
        self.raw = raw

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:
        return self.raw.write(data)


def test_many_threads_read_at_once(tmp_path):
    store = open_store(str(make_zip(tmp_path / "photos.zip", FILES, zipfile.ZIP_DEFLATED)))
    order = [name for _ in range(20) for name in FILES]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda name: store.read(name, LIMIT), order)) == [FILES[name] for name in order]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_forked_processes_do_not_disturb_each_other(tmp_path):
    store = open_store(
        str(make_zip(tmp_path / "photos.zip", {f"{i}": bytes([i]) * 70_000 for i in range(64)}))
    )
    children = []
    for start in range(3):
        pid = os.fork()
        if not pid:
            wrong = any(
                store.read(f"{i}", LIMIT) != bytes([i]) * 70_000
                for _ in range(5)
                for i in range(start, 64, 3)
            )
            os._exit(int(wrong))
        children.append(pid)
    assert all(store.read(f"{i}", LIMIT) == bytes([i]) * 70_000 for _ in range(5) for i in range(64))
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0]


def test_a_spawned_process_opens_it_anew(tmp_path):
    store = open_store(str(make_zip(tmp_path / "photos.zip", FILES)))
    assert pickle.loads(pickle.dumps(store)) is store
    assert len(pickle.dumps(store)) < 500
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        got = pool.submit(store.read, "cat/1.jpg", LIMIT).result(timeout=60)
    assert got == FILES["cat/1.jpg"]


def test_a_zip_is_opened_once_until_it_changes(tmp_path):
    path = make_zip(tmp_path / "photos.zip", {"1.jpg": b"one"})
    store = open_store(str(path))
    assert open_store(str(path)) is store
    make_zip(path, {"1.jpg": b"three", "2.jpg": b""})
    assert open_store(str(path)).read("1.jpg", 10) == b"three"


def test_the_file_is_closed_with_its_last_user(tmp_path):
    store = ZipStore(str(make_zip(tmp_path / "photos.zip", {"1.jpg": b"one"})))
    number = store._members["1.jpg"].file._handle.number
    os.fstat(number)
    del store
    with pytest.raises(OSError, match="descriptor"):
        os.fstat(number)


def test_folders_and_links_are_no_entries(tmp_path):
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("cat/", b"")
        archive.writestr("cat/1.jpg", b"1")
        link = zipfile.ZipInfo("cat/link.jpg")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert names(path) == ["cat/1.jpg"]


def test_the_same_name_twice_makes_two_entries(tmp_path):
    path = tmp_path / "photos.zip"
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as archive:
        warnings.simplefilter("ignore")
        for name, data in [("c.1.jpg", b"a"), ("c.1 (2).jpg", b"b"), ("c.1.jpg", b"c"), ("c.1.jpg", b"d")]:
            archive.writestr(name, data)
    store = open_store(str(path))
    assert [store.read(name, 9) for name in ("c.1.jpg", "c.1 (2).jpg", "c.1 (3).jpg", "c.1 (4).jpg")] == [
        b"a",
        b"b",
        b"c",
        b"d",
    ]
    assert len(names(path)) == 4


def test_names_that_break_the_rules_are_mended(tmp_path):
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, system in [("Pet\\Cat\\1.jpg", 0), ("back\\slash.jpg", 3), ("ca_t.jpg", 3)]:
            info = zipfile.ZipInfo(name)
            info.create_system, info.filename = system, name
            archive.writestr(info, b"")
    patched(path, b"ca_t.jpg", "cät.jpg".encode())  # as macOS writes it: UTF-8, and no flag that says so
    assert names(path) == ["Pet/Cat/1.jpg", "back\\slash.jpg", "cät.jpg"]


def test_what_cannot_be_unpacked_says_why(tmp_path):
    good = zipped({"1.jpg": b"picture" * 100}, zipfile.ZIP_DEFLATED)
    central = good.index(b"PK\x01\x02")

    def damaged(position: int, new: bytes) -> Path:
        path = tmp_path / f"{position}.zip"
        path.write_bytes(good[:position] + new + good[position + len(new) :])
        return path

    assert reason(damaged(central + 8, b"\x01"), "1.jpg") == "encrypted"
    assert reason(damaged(central + 10, struct.pack("<H", 9)), "1.jpg").startswith(
        "packed with another method"
    )
    assert reason(damaged(central + 16, b"\0\0\0\0"), "1.jpg") == "damaged: its checksum differs"
    assert reason(damaged(0, b"XX"), "1.jpg") == "damaged"
    assert reason(damaged(35, b"\xff" * 6), "1.jpg") == "damaged"
    assert reason(damaged(central + 24, struct.pack("<I", 701)), "1.jpg") == "truncated"
    assert reason(damaged(central + 42, struct.pack("<I", 10**9)), "1.jpg") == "truncated"
    assert reason(damaged(central + 24, struct.pack("<I", 699)), "1.jpg").startswith("damaged: larger")
    assert reason(tmp_path / "0.zip", "2.jpg") == "no such file in the archive"


def test_a_member_cut_short_is_truncated(tmp_path):
    path = make_zip(tmp_path / "photos.zip", {"1.jpg": bytes(3 * 2**20)})
    store = open_store(str(path))
    os.truncate(path, 2**20)
    with pytest.raises(PictureError, match=r"^truncated$"):
        store.read("1.jpg", 2**22)


@pytest.mark.parametrize("declared", [5_000, 100_000_000])
def test_a_bomb_never_allocates_more_than_the_limit(tmp_path, declared):
    path = make_zip(tmp_path / "bomb.zip", {"1.jpg": bytes(100_000_000)}, zipfile.ZIP_DEFLATED)
    patched(path, struct.pack("<I", 100_000_000), struct.pack("<I", declared))
    store = open_store(str(path))
    tracemalloc.start()
    try:
        why = reason(path, "1.jpg", LIMIT)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert why == ("larger than 1 MB" if declared > LIMIT else "damaged: larger than its archive says")
    assert peak < 4 * LIMIT
    assert store.entries()[0].size == declared


def test_a_stored_member_that_claims_to_be_huge_allocates_nothing(tmp_path):
    path = make_zip(tmp_path / "lie.zip", {"1.jpg": b"x" * 1234})
    patched(path, struct.pack("<II", 1234, 1234), struct.pack("<II", 2**31, 2**31))
    assert reason(path, "1.jpg", 2**40) == "truncated"


@pytest.mark.parametrize("kind", ["empty", "cut", "noise", "text", "version", "name"])
def test_what_is_no_zip_is_one_clear_line(tmp_path, kind):
    good = zipped({"näme.jpg": b"1" * 100})
    central = good.index(b"PK\x01\x02")
    content = {
        "empty": b"",
        "cut": good[: len(good) // 2],
        "noise": good[:central] + b"\xff" * 30 + good[central + 30 :],
        "text": b"<html>",
        "version": good[: central + 6] + b"\xff" + good[central + 7 :],
        "name": good.replace("ä".encode(), b"\xff\xff"),
    }[kind]
    path = tmp_path / "photos.zip"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"photos\.zip is not a folder or a readable zip") as caught:
        open_store(str(path))
    assert "\n" not in str(caught.value)


def test_random_damage_ends_in_our_errors_only(tmp_path):
    good = zipped({f"{i}.jpg": FILES["cat/1.jpg"] for i in range(3)}, zipfile.ZIP_DEFLATED)
    rng = random.Random(1)
    for number in range(300):
        data = bytearray(good)
        for _ in range(rng.randrange(1, 6)):
            start = rng.choice([0, good.index(b"PK\x01\x02")])
            data[rng.randrange(start, len(data))] = rng.randrange(256)
        path = tmp_path / f"{number}.zip"
        path.write_bytes(data)
        try:
            store = ZipStore(str(path))
        except DataError:
            continue
        for entry in store.entries():
            try:
                assert zlib.crc32(store.read(entry.name, LIMIT)) == int(entry.fingerprint.split("-")[1], 16)
            except PictureError:
                continue


@pytest.mark.parametrize("inner_method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("outer_method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_of_zips_acts_as_folders(tmp_path, private_cache, outer_method, inner_method):
    inner = zipped({"train/cat.0.jpg": b"meow" * 99, "train/dog.0.jpg": b"woof" * 99}, inner_method)
    outer = {
        "train.zip": inner,
        "test1.zip": zipped({"test1/1.jpg": b"?"}),
        "sampleSubmission.csv": b"id,label",
        "__MACOSX/._train.zip": b"not a zip",
    }
    path = make_zip(tmp_path / "dogs-vs-cats.zip", outer, outer_method)
    store = open_store(str(path))
    assert [entry.name for entry in store.entries()] == [
        "__MACOSX/._train.zip",
        "sampleSubmission.csv",
        "test1.zip/test1/1.jpg",
        "train.zip/train/cat.0.jpg",
        "train.zip/train/dog.0.jpg",
    ]
    assert store.read("train.zip/train/dog.0.jpg", LIMIT) == b"woof" * 99
    assert store.read("sampleSubmission.csv", LIMIT) == b"id,label"
    unpacked = list(private_cache.rglob("*.zip"))
    assert len(unpacked) == (0 if outer_method == zipfile.ZIP_STORED else 2)


def test_a_packed_inner_zip_is_unpacked_once_a_version(tmp_path, private_cache):
    path = tmp_path / "outer.zip"
    make_zip(path, {"train.zip": zipped({"1.jpg": b"one"})}, zipfile.ZIP_DEFLATED)
    ZipStore(str(path))
    (first,) = private_cache.rglob("*.zip")
    time_ns = first.stat().st_mtime_ns
    assert ZipStore(str(path)).read("train.zip/1.jpg", 9) == b"one"
    assert first.stat().st_mtime_ns == time_ns
    first.write_bytes(b"cut")
    assert ZipStore(str(path)).read("train.zip/1.jpg", 9) == b"one"
    make_zip(path, {"train.zip": zipped({"1.jpg": b"another"})}, zipfile.ZIP_DEFLATED)
    assert ZipStore(str(path)).read("train.zip/1.jpg", 9) == b"another"


def test_only_a_zip_of_nothing_but_zips_is_opened_up_and_one_level_deep(tmp_path):
    inner = zipped({"deeper.zip": zipped({"1.jpg": b"1"})})
    assert names(make_zip(tmp_path / "deep.zip", {"inner.zip": inner})) == ["inner.zip/deeper.zip"]
    assert names(make_zip(tmp_path / "mixed.zip", {"inner.zip": inner, "1.jpg": b""})) == [
        "1.jpg",
        "inner.zip",
    ]
    assert names(make_zip(tmp_path / "tables.zip", {"a.csv": b""})) == ["a.csv"]


def left_in(folder: Path) -> list[Path]:
    return [found for found in folder.rglob("*") if found.is_file()]


def test_an_inner_zip_that_cannot_be_used_is_named(tmp_path, private_cache):
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with pytest.raises(DataError, match=r"outer\.zip/train\.zip is not a folder or a readable zip"):
            open_zip(str(make_zip(tmp_path / "outer.zip", {"train.zip": b"no" * 99}, method)))
    path = make_zip(tmp_path / "big.zip", {"train.zip": zipped(FILES)}, zipfile.ZIP_DEFLATED)
    damaged = bytearray(path.read_bytes())
    damaged[60:70] = b"\xff" * 10
    path.write_bytes(damaged)
    with pytest.raises(DataError, match=r"big\.zip/train\.zip cannot be read: damaged"):
        open_zip(str(path))
    assert not left_in(private_cache)


class TestRoomForInnerZips:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        inner = {f"{n}.zip": zipped({"1.jpg": RNG.randbytes(3000)}) for n in range(3)}
        return make_zip(tmp_path / "big.zip", inner, zipfile.ZIP_DEFLATED)

    def test_the_limit_holds_for_all_of_them(self, path, monkeypatch, private_cache):
        monkeypatch.setattr(unpacked, "MAX_UNPACKED_BYTES", 9000)  # each of them has 3 kB
        with pytest.raises(DataError, match=r"big\.zip unpacks to more than"):
            open_zip(str(path))
        assert not left_in(private_cache)

    def test_the_disk_is_asked_before_anything_is_unpacked(self, path, monkeypatch, private_cache):
        free = shutil.disk_usage(private_cache)._replace(free=unpacked.LEFT_FREE_BYTES + 9000)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
        with pytest.raises(OutputError, match="no room on that disk"):
            open_zip(str(path))
        assert not left_in(private_cache)

    def test_what_is_there_already_needs_no_room(self, path, monkeypatch):
        ZipStore(str(path))
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=unpacked.LEFT_FREE_BYTES))
        assert len(ZipStore(str(path)).entries()) == 3


@pytest.mark.real
def test_the_real_archives_read_as_zipfile_reads_them(real):
    for name in ("dogs-vs-cats/train.zip", "hostile.zip", "kagglecatsanddogs.zip"):
        path = real / "data" / name
        store = open_store(str(path))
        with zipfile.ZipFile(path) as reference:
            entries = store.entries()
            assert [entry.name for entry in entries] == sorted(reference.namelist())
            assert all(store.read(e.name, 2**27) == reference.read(e.name) for e in entries[::97])
