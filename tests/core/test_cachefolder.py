from pathlib import Path

import pytest

from catsdogs.core.cachefolder import DEFAULT_CAP_BYTES, cache_folder, cap_limit_bytes
from catsdogs.core.errors import ConfigError, OutputError


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("CATSDOGS_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pathlib.Path.home", lambda: tmp_path)


def test_our_own_variable_wins(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    monkeypatch.setenv("CATSDOGS_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    assert not (tmp_path / "mine").exists()


def test_a_relative_folder_of_ours_stays_where_it_was_named(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CATSDOGS_CACHE", "mine")
    assert cache_folder() == tmp_path / "mine"


def test_a_relative_xdg_folder_is_ignored(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "catsdogs"
    monkeypatch.setenv("XDG_CACHE_HOME", "xdg")
    assert cache_folder() == tmp_path / ".cache" / "catsdogs"


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        ("linux", ".cache/catsdogs"),
        ("darwin", "Library/Caches/catsdogs"),
        ("win32", "AppData/catsdogs/Cache"),
    ],
)
def test_each_platform_has_its_usual_place(monkeypatch, tmp_path, platform, expected):
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "AppData"))
    assert cache_folder() == tmp_path / expected


def test_no_home_is_one_clear_line(monkeypatch):
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("pathlib.Path.home", nowhere)
    with pytest.raises(OutputError, match="set CATSDOGS_CACHE"):
        cache_folder()


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("", DEFAULT_CAP_BYTES),
        ("0", 0),
        ("1234", 1234),
        ("12b", 12),
        ("500MB", 500_000_000),
        (" 2 gb ", 2_000_000_000),
        ("1.5GiB", 3 * 2**29),
        ("64k", 64_000),
        ("1tb", 10**12),
    ],
)
def test_the_limit_is_read_from_the_environment(monkeypatch, text: str, size: int) -> None:
    monkeypatch.setenv("CATSDOGS_CACHE_LIMIT", text)
    assert cap_limit_bytes() == size


@pytest.mark.parametrize("text", ["much", "-1", "5 parsecs", "MB", "1e9", "nan", "2,5GB", "٣GB"])
def test_a_limit_that_is_no_size_is_one_line(monkeypatch, text: str) -> None:
    monkeypatch.setenv("CATSDOGS_CACHE_LIMIT", text)
    with pytest.raises(ConfigError, match="CATSDOGS_CACHE_LIMIT is a size such as 500MB"):
        cap_limit_bytes()
