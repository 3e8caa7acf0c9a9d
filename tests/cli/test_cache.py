"""``catsdogs cache``: it shows what is there, and deletes what catsdogs made and nothing else."""

import os
import sqlite3
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import catsdogs
from catsdogs.cli.main import main
from catsdogs.core.records import ImageRecord
from catsdogs.data.audit import audit
from catsdogs.data.stores import open_store
from catsdogs.inference.engines.converted import converted_model
from catsdogs.models.choosing import choose
from catsdogs.models.modelcard import find_model
from catsdogs.transfer.cache import FeatureCache

KEY = "0123456789abcdef"


def put(path: Path, size: int = 1000, *, age_s: float = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    then = time.time() - age_s
    os.utime(path, (then, then))
    return path


def left(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def said(capsys):
    def run(*words: str, code: int = 0) -> str:
        assert main(["cache", *words]) == code
        streams = capsys.readouterr()
        assert bool(streams.err) == bool(code)
        return streams.err if code else streams.out

    return run


class TestShow:
    @pytest.mark.parametrize("words", [[], ["show"]])
    def test_a_folder_that_does_not_exist_holds_nothing(self, said, monkeypatch, tmp_path, words) -> None:
        monkeypatch.setenv("CATSDOGS_CACHE", str(tmp_path / "none"))
        shown = said(*words)
        assert str(tmp_path / "none") in shown.replace("\n", "")
        assert "0 rows" in shown
        assert not (tmp_path / "none").exists()

    def test_every_kind_with_its_size_and_the_cap(self, said, monkeypatch, private_cache: Path) -> None:
        monkeypatch.setenv("CATSDOGS_CACHE_LIMIT", "750MB")
        FeatureCache().write("s", {b"1": np.ones(5, np.float32), b"2": np.ones(5, np.float32)})
        put(private_cache / "audit" / f"{KEY}.npz", 4000)
        put(private_cache / "audit" / f"near-{KEY * 2}.json", 2000)
        put(private_cache / "archives" / f"{KEY * 2}.zip", 3_400_000)
        put(private_cache / "engines" / f"{KEY * 2}.onnx", 5_000_000)
        put(private_cache / "trials.json", 12)
        lines = said().splitlines()
        found = {cells[1]: cells[2:] for cells in (line.split("│") for line in lines) if len(cells) > 4}
        found = {kind.strip(): [cell.strip() for cell in cells[:3]] for kind, cells in found.items()}
        size = (private_cache / "features.sqlite").stat().st_size
        assert found == {
            "features": ["2 rows", f"{size / 1000:.1f} kB", "750.0 MB"],
            "audits": ["2 files", "6.0 kB", ""],
            "unpacked archives": ["1 file", "3.4 MB", ""],
            "converted models": ["1 file", "5.0 MB", "750.0 MB"],
            "timing trials": ["1 file", "12 bytes", ""],
        }

    def test_a_damaged_cache_is_told_and_stays(self, said, private_cache: Path) -> None:
        put(private_cache / "features.sqlite", 5000)
        assert "not readable now" in said()
        assert left(private_cache) == {"features.sqlite"}

    def test_off(self, said, monkeypatch) -> None:
        monkeypatch.setenv("CATSDOGS_CACHE_LIMIT", "0")
        assert "off" in said()

    def test_needs_no_torch(self) -> None:
        code = "import sys, catsdogs.cli.main as m; m.main(['cache']); assert 'torch' not in sys.modules"
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr


class TestClear:
    def test_nothing_there(self, said, monkeypatch, tmp_path) -> None:
        monkeypatch.setenv("CATSDOGS_CACHE", str(tmp_path / "none"))
        assert said("clear") == f"0 bytes freed in {tmp_path / 'none'}\n"

    def test_takes_everything_that_catsdogs_really_writes(
        self, said, private_cache: Path, tmp_path: Path
    ) -> None:
        write_real_caches(tmp_path)
        folders = {path.name for path in private_cache.iterdir()}
        assert folders == {"audit", "archives", "engines", "trials.json", "features.sqlite"}
        size = sum((private_cache / name).stat().st_size for name in left(private_cache))
        assert said("clear").startswith(f"{size / 1e6:.1f} MB freed")
        assert list(private_cache.iterdir()) == []

    def test_knows_everybody_who_keeps_a_cache(self) -> None:
        """Whoever is new here needs a line in ``cli/cache.py`` and one in ``write_real_caches``."""
        package = Path(catsdogs.__file__).parent
        users = {path for path in package.rglob("*.py") if "import cache_folder" in path.read_text("utf-8")}
        assert {path.relative_to(package).as_posix() for path in users} == {
            "cli/cache.py",
            "data/audit.py",
            "data/inspection.py",
            "data/unpacked.py",
            "inference/engines/converted.py",
            "models/choosing.py",
            "transfer/cache.py",
            "workflows/doctor.py",
        }

    def test_leaves_what_is_not_ours(self, said, private_cache: Path, tmp_path: Path) -> None:
        strange = {
            "notes.txt",
            "features.sqlite.bak",
            "audit/report.npz",
            "audit/near.json",
            f"audit/{KEY}.npz.txt",
            f"archives/{KEY}.zip",
            "archives/holiday.zip",
            f"other/{KEY}.npz",
            ".trials.json.swp",
            "deep/audit/trials.json",
        }
        for name in strange:
            put(private_cache / name)
        put(private_cache / "audit" / f"{KEY}.npz", 1)
        target = put(tmp_path / "elsewhere.zip")
        (private_cache / "archives" / f"{KEY * 2}.zip").symlink_to(target)
        (private_cache / "audit" / f"{KEY[::-1]}.npz").mkdir()
        assert said("clear").startswith("1 bytes freed")
        assert left(private_cache) == strange | {f"archives/{KEY * 2}.zip"}
        assert target.exists()

    def test_takes_what_killed_writers_left_but_not_what_is_being_written(
        self, said, private_cache: Path
    ) -> None:
        old = put(private_cache / "archives" / f".{KEY * 2}.zip-ab_12xyz.tmp", 5000, age_s=7200)
        new = put(private_cache / "archives" / f".{KEY * 2}.zip-ab_12xyy.tmp", 5000)
        other = put(private_cache / "archives" / ".holiday.zip-ab_12xyz.tmp", age_s=7200)
        assert said("clear").startswith("5.0 kB freed")
        assert not old.exists()
        assert new.exists()
        assert other.exists()

    def test_while_another_process_has_the_features_open(self, said, private_cache: Path) -> None:
        FeatureCache().write("s", {b"1": np.ones(5, np.float32)})
        other = sqlite3.connect(private_cache / "features.sqlite")
        assert other.execute("SELECT COUNT(*) FROM rows").fetchall() == [(1,)]
        said("clear")
        assert list(private_cache.iterdir()) == []
        other.close()

    def test_while_another_process_writes_features(self, capsys, monkeypatch, private_cache: Path) -> None:
        monkeypatch.setattr("catsdogs.transfer.cache._PATIENCE_S", 0.1)
        FeatureCache().write("s", {b"1": np.ones(5, np.float32)})
        put(private_cache / "trials.json", 12)
        other = sqlite3.connect(private_cache / "features.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert main(["cache", "clear"]) == 2
        streams = capsys.readouterr()
        assert streams.out.startswith("12 bytes freed")
        assert streams.err.count("\n") == 1
        assert "in use by another process" in streams.err
        assert left(private_cache) >= {"features.sqlite"}
        assert not (private_cache / "trials.json").exists()
        other.close()

    def test_what_cannot_be_deleted_is_one_line_after_the_rest(
        self, capsys, monkeypatch, private_cache
    ) -> None:
        for name in (f"audit/{KEY}.npz", f"audit/{KEY[::-1]}.npz", "trials.json"):
            put(private_cache / name)
        unlink = Path.unlink

        def refuse(path: Path, missing_ok: bool = False) -> None:
            if path.suffix == ".npz":
                raise PermissionError(13, "Permission denied")
            unlink(path, missing_ok=missing_ok)

        monkeypatch.setattr(Path, "unlink", refuse)
        assert main(["cache", "clear"]) == 2
        streams = capsys.readouterr()
        assert streams.out.startswith("1.0 kB freed")
        assert streams.err.startswith(f"catsdogs: cannot delete {private_cache}")
        assert streams.err.endswith("Permission denied (and 1 more)\n")


class TestMistakes:
    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["clean"], "invalid choice: 'clean'"),
            (["clear", "all"], "unrecognized arguments: all"),
            (["--force"], "--force"),
        ],
    )
    def test_of_words(self, said, private_cache: Path, words: list[str], message: str) -> None:
        put(private_cache / "trials.json")
        line = said(*words, code=2)
        assert message in line
        assert line.count("\n") == 1
        assert left(private_cache) == {"trials.json"}

    @pytest.mark.parametrize("words", [[], ["clear"]])
    def test_of_the_limit(self, said, monkeypatch, private_cache: Path, words: list[str]) -> None:
        put(private_cache / "trials.json")
        monkeypatch.setenv("CATSDOGS_CACHE_LIMIT", "lots")
        assert "CATSDOGS_CACHE_LIMIT is a size such as 500MB" in said(*words, code=2)

    @pytest.mark.parametrize("words", [[], ["clear"]])
    def test_a_file_is_where_the_folder_should_be(
        self, said, monkeypatch, tmp_path, words: list[str]
    ) -> None:
        monkeypatch.setenv("CATSDOGS_CACHE", str(put(tmp_path / "file", 7)))
        said(*words)
        assert (tmp_path / "file").stat().st_size == 7


def write_real_caches(folder: Path) -> None:
    """Let everything that keeps a cache keep one."""
    (folder / "photos").mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "photos" / f"{number}.png")
    root = str(folder / "photos")
    audit([ImageRecord(f"{number}.png", root, f"{number}.png") for number in range(3)], workers=1)
    with zipfile.ZipFile(folder / "inner.zip", "w") as inner:
        inner.write(folder / "photos" / "0.png", "0.png")
    with zipfile.ZipFile(folder / "outer.zip", "w", zipfile.ZIP_DEFLATED) as outer:
        outer.write(folder / "inner.zip", "train.zip")
    with tarfile.open(folder / "whole.tar.gz", "w:gz") as archive:
        archive.add(folder / "photos" / "0.png", "0.png")
    (folder / "cut.tar.gz").write_bytes((folder / "whole.tar.gz").read_bytes()[:-1])
    for name in ("outer.zip", "whole.tar.gz", "cut.tar.gz"):
        assert list(open_store(str(folder / name)).entries())
    choose("key", ["a", "b"], lambda _: lambda: None)
    converted_model(find_model("embedded"), "openvino", lambda _: None)
    FeatureCache().write("s", {b"1": np.ones(5, np.float32)})
