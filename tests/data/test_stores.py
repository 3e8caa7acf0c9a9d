import os
import pickle
import socket
import threading
from pathlib import Path

import pytest

from catsdogs.core.errors import DataError, PictureError
from catsdogs.data.stores import FolderStore, open_store

posix_only = pytest.mark.skipif(os.name == "nt", reason="links, pipes and odd names need POSIX")


def names(root: Path) -> list[str]:
    return [entry.name for entry in open_store(str(root)).entries()]


def write(path: Path, data: bytes = b"bytes") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_every_file_below_a_folder_is_an_entry_in_sorted_order(tmp_path):
    for name in ("b.jpg", "a/2.jpg", "a/1.txt", "a/deep/er/.hidden", "-rf", "a.jpg"):
        write(tmp_path / name)
    (tmp_path / "empty").mkdir()
    assert names(tmp_path) == ["-rf", "a.jpg", "a/1.txt", "a/2.jpg", "a/deep/er/.hidden", "b.jpg"]


def test_what_is_read_is_what_was_written(tmp_path):
    write(tmp_path / "cat" / "1.jpg", b"meow")
    write(tmp_path / "empty", b"")
    store = open_store(str(tmp_path))
    assert store.read("cat/1.jpg", limit_bytes=4) == b"meow"
    assert store.read("empty", limit_bytes=4) == b""
    assert pickle.loads(pickle.dumps(store)).read("cat/1.jpg", 4) == b"meow"


def test_a_fingerprint_changes_with_the_size_and_with_the_time(tmp_path):
    def fingerprint() -> str:
        return open_store(str(tmp_path)).entries()[0].fingerprint

    file = write(tmp_path / "1.jpg", b"one")
    os.utime(file, ns=(1, 1))
    first = fingerprint()
    os.utime(file, ns=(1, 2))
    second = fingerprint()
    write(file, b"three")
    os.utime(file, ns=(1, 2))
    assert len({first, second, fingerprint()}) == 3


@posix_only
def test_odd_names_survive(tmp_path):
    odd = [
        "new\nline.jpg",
        " space ",
        "-dash.jpg",
        "\udcff\udcfe.jpg",
        "back\\slash.jpg",
        "ünï.jpg",
        "*?.jpg",
    ]
    for name in odd:
        write(tmp_path / "folder\n\udcff" / name, os.fsencode(name))
    store = open_store(str(tmp_path))
    found = [entry.name for entry in store.entries()]
    assert found == sorted(f"folder\n\udcff/{name}" for name in odd)
    assert all(store.read(name, 100) == os.fsencode(name.rpartition("/")[2]) for name in found)


@posix_only
def test_each_folder_is_visited_once_and_by_its_own_name(tmp_path):
    outside = write(tmp_path / "outside" / "dog.jpg").parent
    root = tmp_path / "root"
    write(root / "m" / "cat.jpg")
    (root / "a_link").symlink_to(root / "m")
    (root / "b_link").symlink_to(outside)
    (root / "c_link").symlink_to(outside)
    (root / "m" / "loop").symlink_to(root)
    (root / "m" / "self").symlink_to("self")
    assert names(root) == ["b_link/dog.jpg", "m/cat.jpg"]


@posix_only
def test_a_link_to_a_folder_above_is_a_loop(tmp_path):
    write(tmp_path / "private.jpg")
    root = write(tmp_path / "root" / "cat.jpg").parent
    (root / "up").symlink_to(tmp_path)
    (root / "top").symlink_to("/")
    assert names(root) == ["cat.jpg"]


@posix_only
def test_a_root_may_be_a_link(tmp_path):
    write(tmp_path / "real" / "cat.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert names(tmp_path / "link") == ["cat.jpg"]


@posix_only
def test_only_regular_files_are_entries_and_reading_others_does_not_wait(tmp_path):
    target = write(tmp_path / "1.jpg")
    (tmp_path / "link.jpg").symlink_to(target)
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "socket.jpg"))
        assert names(tmp_path) == ["1.jpg", "link.jpg"]
    store = open_store(str(tmp_path))
    reasons = {}

    def read_all() -> None:
        for name in ("pipe.jpg", "broken.jpg", "", "socket.jpg"):
            with pytest.raises(PictureError) as caught:
                store.read(name, 100)
            reasons[name] = str(caught.value)

    reader = threading.Thread(target=read_all, daemon=True)
    reader.start()
    reader.join(timeout=10)
    assert not reader.is_alive()
    assert reasons["pipe.jpg"] == reasons[""] == "not a regular file"
    assert reasons["broken.jpg"] == "no such file or directory"


def test_a_file_that_cannot_be_read_says_why(tmp_path, monkeypatch):
    write(tmp_path / "1.jpg", b"x" * 100)
    store = open_store(str(tmp_path))
    with pytest.raises(PictureError, match=r"^larger than 99 bytes$"):
        store.read("1.jpg", 99)
    with pytest.raises(PictureError, match=r"^no such file or directory$"):
        store.read("2.jpg", 99)
    with pytest.raises(PictureError, match="null"):
        store.read("1\0.jpg", 99)
    with pytest.raises(PictureError, match="name too long"):
        store.read("1" * 5000, 99)

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PictureError, match=r"^permission denied$"):
        store.read("1.jpg", 99)


def test_the_limit_is_said_in_megabytes(tmp_path):
    with (tmp_path / "huge.jpg").open("wb") as stream:
        stream.truncate(64 * 2**20 + 1)
    with pytest.raises(PictureError, match=r"^larger than 64 MB$"):
        open_store(str(tmp_path)).read("huge.jpg", 64 * 2**20)


def test_an_unreadable_subfolder_does_no_harm_and_is_named(tmp_path, monkeypatch):
    write(tmp_path / "cat" / "1.jpg")
    write(tmp_path / "locked" / "in" / "2.jpg")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    store = FolderStore(str(tmp_path))
    assert [entry.name for entry in store.entries()] == ["cat/1.jpg"]
    assert store.unreadable_folders == ("locked",)
    with pytest.raises(DataError, match="cannot be listed: permission denied"):
        FolderStore(str(tmp_path / "locked")).entries()


def test_a_root_that_is_no_store_is_one_clear_line(tmp_path):
    picture = write(tmp_path / "cat.jpg", b"\xff\xd8\xff not a zip")
    for root, message in [
        (tmp_path / "missing", "cannot be opened: no such file or directory"),
        (picture, "is not a folder or a readable zip"),
        ("", "is empty"),
        ("https://example.org/cats.zip", "cannot be opened"),
        ("a\0b", "null"),
    ]:
        with pytest.raises(DataError, match=message) as caught:
            open_store(str(root))
        assert "\n" not in str(caught.value)


@posix_only
def test_a_pipe_as_root_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.zip")
    with pytest.raises(DataError, match="not a folder or a zip"):
        open_store(str(tmp_path / "pipe.zip"))


def test_a_folder_called_drawn_is_reached_by_its_path(tmp_path, monkeypatch):
    write(tmp_path / "drawn" / "cat.jpg")
    monkeypatch.chdir(tmp_path)
    assert [entry.name for entry in open_store("./drawn").entries()] == ["cat.jpg"]
    for root in ("drawn", "drawn:cat,dog", "drawn:cat,dog?per_class=3"):
        assert not isinstance(open_store(root), FolderStore)
        assert open_store(root).entries()[0].name.startswith("cat/")
