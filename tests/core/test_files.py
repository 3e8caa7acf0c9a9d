"""A reader finds the old file or the new one, and whoever cannot write hears why in one line."""

import errno
import json
import os
import stat
from pathlib import Path

import pytest

from catsdogs.core.errors import OutputError
from catsdogs.core.files import replacing, write_json, write_text

posix = pytest.mark.skipif(os.name == "nt", reason="permissions and links are POSIX")


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.suffix == ".tmp"]


def write_half(target: Path, error: BaseException) -> None:
    with replacing(target) as temporary:
        temporary.write_text("half")
        raise error


def test_it_makes_the_folder_and_replaces_what_was_there(tmp_path):
    target = tmp_path / "new" / "folder" / "a.txt"
    write_text(target, "one")
    write_text(target, "two\r\nlines\n")
    assert target.read_bytes() == b"two\r\nlines\n"
    assert leftovers(target.parent) == []


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_interruption_leaves_the_old_file_alone(tmp_path, error):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(error):
        write_half(target, error())
    assert target.read_text() == "old"
    assert leftovers(tmp_path) == []


@posix
def test_the_new_file_has_the_permissions_of_any_new_file(tmp_path):
    write_text(tmp_path / "ours.txt", "")
    (tmp_path / "plain.txt").touch()
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ours.txt", "plain.txt")}
    assert len(modes) == 1


@posix
def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link.txt").symlink_to(tmp_path / "real" / "a.txt")
    write_text(tmp_path / "link.txt", "through")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real" / "a.txt").read_text() == "through"


def test_a_folder_is_not_overwritten(tmp_path):
    with pytest.raises(OutputError, match="not a regular file"):
        write_text(tmp_path, "text")
    assert leftovers(tmp_path.parent) == []


@posix
def test_a_pipe_is_not_replaced_by_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match="not a regular file"):
        write_text(tmp_path / "pipe", "text")
    assert (tmp_path / "pipe").is_fifo()


def test_a_file_in_the_way_of_the_folder_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot write .*out\.csv: "):
        write_text(tmp_path / "file" / "out.csv", "text")


@posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_one_line(tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        write_text(tmp_path / "closed" / "out.csv", "text")


def test_a_full_disk_is_one_line_and_leaves_the_old_file(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(OutputError, match="No space left"):
        write_half(target, OSError(errno.ENOSPC, "No space left on device"))
    assert target.read_text() == "old"
    assert leftovers(tmp_path) == []


def test_an_error_of_reading_is_not_taken_for_one_of_writing(tmp_path):
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "a.txt"):
        (tmp_path / "missing").read_text()


def test_a_file_that_another_program_holds_open_is_one_line(tmp_path, monkeypatch):
    def held(self, target):
        raise PermissionError(errno.EACCES, "The process cannot access the file")

    monkeypatch.setattr(Path, "replace", held)
    with pytest.raises(OutputError, match="cannot access"):
        write_text(tmp_path / "predictions.csv", "text")
    assert leftovers(tmp_path) == []


def test_json_holds_any_file_name(tmp_path):
    names = ["Küche.jpg", os.fsdecode(b"caf\xe9.jpg"), "zero\0.jpg", 'quote".jpg']
    write_json(tmp_path / "a.json", names)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text) == names
    assert "Küche" in text


def test_json_without_nan(tmp_path):
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []
