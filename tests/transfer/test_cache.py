"""The cache saves time and does nothing else: it never gives a wrong row and never fails a run."""

import hashlib
import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from catsdogs.core.cachefolder import DEFAULT_CAP_BYTES
from catsdogs.core.errors import OutputError
from catsdogs.transfer import cache as module
from catsdogs.transfer.cache import CacheSummary, FeatureCache, space_key

WIDTH = 24
SPACE = space_key(weights="abc", view="none")
Rows = dict[bytes, np.ndarray]


def rows_of(names: Sequence[object], width: int = WIDTH) -> Rows:
    """Rows that follow from their names, so that any process knows what another one wrote."""
    digests = [hashlib.sha256(str(name).encode()).digest() for name in names]
    return {
        digest: np.random.default_rng(list(digest)).standard_normal(width, dtype=np.float32)
        for digest in digests
    }


def same(found: Rows, expected: Rows) -> bool:
    return found.keys() == expected.keys() and all(
        np.array_equal(found[content], expected[content]) for content in expected
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "features.sqlite"


@pytest.fixture
def cache(path: Path) -> FeatureCache:
    return FeatureCache(path)


class TestWhatIsWritten:
    def test_is_read_back_bit_for_bit_by_another_object(self, path: Path) -> None:
        rows = rows_of(range(1200))
        FeatureCache(path).write(SPACE, rows)
        found = FeatureCache(path).read(SPACE, list(rows))
        assert same(found, rows)
        assert {row.dtype for row in found.values()} == {np.dtype(np.float32)}

    def test_only_what_is_there_is_found(self, cache: FeatureCache) -> None:
        rows = rows_of("ab")
        cache.write(SPACE, rows)
        wanted = [*rows_of("bc"), *rows_of("b")]
        assert same(cache.read(SPACE, wanted), rows_of("b"))
        assert cache.read(SPACE, []) == {}

    def test_spaces_do_not_mix(self, cache: FeatureCache) -> None:
        rows = rows_of("ab")
        cache.write(SPACE, rows)
        assert cache.read(space_key(weights="other"), list(rows)) == {}
        cache.write("other", {content: -row for content, row in rows.items()})
        assert same(cache.read(SPACE, list(rows)), rows)

    def test_again_replaces(self, cache: FeatureCache) -> None:
        rows = rows_of("abc")
        cache.write(SPACE, {content: row + 1 for content, row in rows.items()})
        cache.write(SPACE, rows)
        assert same(cache.read(SPACE, list(rows)), rows)
        assert cache.summary().rows == 3

    def test_of_another_width_takes_the_place_of_what_the_space_held(self, cache: FeatureCache) -> None:
        old, new = rows_of("ab"), rows_of("bc", width=7)
        cache.write(SPACE, old)
        cache.write("other", old)
        cache.write(SPACE, new)
        assert same(cache.read(SPACE, [*old, *new]), new)
        assert same(cache.read("other", list(old)), old)

    @pytest.mark.parametrize("spoil", [{b"x": np.ones(3)}, {b"x": np.ones((1, WIDTH))}])
    def test_is_vectors_of_one_length(self, cache: FeatureCache, spoil: Rows) -> None:
        with pytest.raises(ValueError, match="one length"):
            cache.write(SPACE, rows_of("a") | spoil)

    def test_nothing_makes_no_file(self, cache: FeatureCache, path: Path) -> None:
        cache.write(SPACE, {})
        assert cache.read(SPACE, list(rows_of("a"))) == {}
        assert not path.parent.exists()

    def test_numbers_that_are_not_finite_are_not_given_back(self, cache: FeatureCache) -> None:
        rows = rows_of("ab")
        spoilt = next(iter(rows))
        rows[spoilt][3] = np.nan
        cache.write(SPACE, rows)
        assert spoilt not in cache.read(SPACE, list(rows))
        assert len(cache.read(SPACE, list(rows))) == 1

    def test_a_cache_can_be_sent_to_a_worker(self, cache: FeatureCache) -> None:
        rows = rows_of("ab")
        cache.write(SPACE, rows)
        assert same(pickle.loads(pickle.dumps(cache)).read(SPACE, list(rows)), rows)

    def test_the_usual_place_is_the_folder_for_caches(self, private_cache: Path) -> None:
        FeatureCache().write(SPACE, rows_of("a"))
        assert [file.name for file in private_cache.iterdir()] == ["features.sqlite"]


class TestTheKey:
    def test_every_part_counts_and_their_order_does_not(self) -> None:
        key = space_key(weights="a", view="none", stages=["s1", "s2"])
        assert key == space_key(stages=("s1", "s2"), view="none", weights="a")
        others = [
            space_key(weights="b", view="none", stages=["s1", "s2"]),
            space_key(weights="a", view="none", stages=["s2", "s1"]),
            space_key(weights="a", view=None, stages=["s1", "s2"]),
            space_key(weights="a", view="none"),
        ]
        assert len({key, *others}) == 5

    def test_is_the_same_in_every_process(self) -> None:
        assert space_key(a=1.5, b=None).startswith("bd5ac9d5")

    def test_what_is_not_plain_is_refused(self) -> None:
        with pytest.raises(TypeError):
            space_key(weights=object())


def spoil_header(path: Path) -> None:
    path.write_bytes(b"this is no database" * 500)


def spoil_pages(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[16384:] = np.random.default_rng(0).integers(0, 256, len(data) - 16384, dtype=np.uint8).tobytes()
    path.write_bytes(data)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def other_program(path: Path) -> None:
    path.unlink()
    execute(path, "CREATE TABLE rows(id, secret)", "INSERT INTO rows VALUES (1, 'x')")


def other_version(path: Path) -> None:
    execute(path, "PRAGMA user_version = 99")


def missing_table(path: Path) -> None:
    execute(path, "DROP TABLE numbers")


def contradicting_tables(path: Path) -> None:
    execute(path, "DELETE FROM rows")


def execute(path: Path, *statements: str) -> None:
    database = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        database.execute(statement)
    database.close()


DAMAGES = [
    spoil_header,
    spoil_pages,
    cut,
    empty,
    other_program,
    other_version,
    missing_table,
    contradicting_tables,
]


class TestDamage:
    @pytest.mark.parametrize("damage", DAMAGES)
    def test_costs_the_rows_and_nothing_else(self, cache: FeatureCache, path: Path, damage) -> None:
        rows = rows_of(range(600), width=100)
        cache.write(SPACE, rows)
        damage(path)
        found = cache.read(SPACE, list(rows))
        assert all(np.array_equal(row, rows[content]) for content, row in found.items())
        assert len(found) < len(rows)
        cache.write(SPACE, rows)
        assert same(cache.read(SPACE, list(rows)), rows)

    @pytest.mark.parametrize("damage", DAMAGES)
    def test_is_replaced_when_it_is_first_found_by_a_writer(
        self, cache: FeatureCache, path: Path, damage
    ) -> None:
        rows = rows_of(range(600), width=100)
        cache.write(SPACE, rows)
        damage(path)
        cache.write(SPACE, rows)
        cache.write(SPACE, rows)
        assert same(cache.read(SPACE, list(rows)), rows)

    @pytest.mark.parametrize("damage", DAMAGES)
    def test_can_be_looked_at_and_cleared(self, cache: FeatureCache, path: Path, damage) -> None:
        cache.write(SPACE, rows_of(range(600), width=100))
        damage(path)
        size = path.stat().st_size
        assert cache.summary().bytes == size
        assert cache.clear() == size
        assert not path.exists()

    def test_a_flipped_bit_hides_its_row_only(self, cache: FeatureCache, path: Path) -> None:
        rows = rows_of("abc")
        cache.write(SPACE, rows)
        content, row = next(iter(rows.items()))
        data = bytearray(path.read_bytes())
        place = data.index(row.tobytes())
        data[place + 1] ^= 1  # of the lowest bits of a number: the row stays finite
        path.write_bytes(data)
        rest = {key: value for key, value in rows.items() if key != content}
        assert same(cache.read(SPACE, list(rows)), rest)

    @pytest.mark.parametrize("swap", ["content", "space"])
    def test_numbers_under_the_wrong_name_are_not_given_back(
        self, cache: FeatureCache, path: Path, swap: str
    ) -> None:
        rows = rows_of("ab")
        cache.write(SPACE, rows)
        if swap == "content":
            wrong = hashlib.sha256(b"wrong").digest()
            execute(path, f"UPDATE rows SET content = x'{wrong.hex()}' WHERE id = 1")
            assert wrong not in cache.read(SPACE, [wrong])
        else:
            execute(path, "UPDATE spaces SET key = 'other'")
            assert cache.read("other", list(rows)) == {}


class TestAPlaceThatCannotBeUsed:
    def test_there_is_no_home(self, monkeypatch) -> None:
        def nowhere() -> Path:
            raise OutputError("there is no home folder for caches")

        monkeypatch.setattr(module, "cache_folder", nowhere)
        assert_useless(FeatureCache())
        assert FeatureCache().clear() == 0

    def test_a_file_is_where_the_folder_should_be(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        assert_useless(FeatureCache(tmp_path / "file" / "features.sqlite"))

    def test_a_folder_is_where_the_file_should_be(self, path: Path) -> None:
        path.mkdir(parents=True)
        assert_useless(FeatureCache(path))
        assert path.is_dir()

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
    def test_a_folder_that_is_read_only_still_gives_its_rows(self, cache: FeatureCache, path: Path) -> None:
        cache.write(SPACE, rows_of("a"))
        path.chmod(0o400)
        path.parent.chmod(0o500)
        try:
            cache.write(SPACE, rows_of("b"))
            assert same(cache.read(SPACE, list(rows_of("ab"))), rows_of("a"))
            with pytest.raises(OutputError, match="cannot delete"):
                cache.clear()
            path.parent.chmod(0)
            assert_useless(cache)
            with pytest.raises(OutputError, match="cannot look into"):
                cache.summary()
        finally:
            path.parent.chmod(0o700)

    @pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are POSIX")
    def test_a_full_disk_keeps_what_was_there(self, path: Path) -> None:
        rows = rows_of(range(50))
        FeatureCache(path).write(SPACE, rows)
        limit = path.stat().st_size
        python(
            f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
            f"cache.write({SPACE!r}, rows_of(range(50, 5000)))\n"
            f"assert same(cache.read({SPACE!r}, list(rows_of(range(50)))), rows_of(range(50)))",
            path,
        )
        assert same(FeatureCache(path).read(SPACE, list(rows_of(range(100)))), rows)

    def test_a_lock_that_stays_is_waited_for_once(self, cache: FeatureCache, path: Path, monkeypatch) -> None:
        rows = rows_of("ab")
        cache.write(SPACE, rows)
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        monkeypatch.setattr(module, "_PATIENCE_S", 0.3)
        started = time.monotonic()
        for _ in range(20):
            cache.write(SPACE, rows)
            assert cache.read(SPACE, list(rows)) == {}
        assert 0.2 < time.monotonic() - started < 2
        with pytest.raises(OutputError, match="in use by another process"):
            cache.clear()
        assert cache.summary().rows is None
        holder.close()
        assert same(FeatureCache(path).read(SPACE, list(rows)), rows)

    def test_reading_does_not_wait_to_note_the_use(self, cache: FeatureCache, path: Path) -> None:
        rows = rows_of("ab")
        cache.write(SPACE, rows)
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        assert same(cache.read(SPACE, list(rows)), rows)
        assert time.monotonic() - started < 2
        holder.close()


def assert_useless(cache: FeatureCache) -> None:
    rows = rows_of("ab")
    cache.write(SPACE, rows)
    assert cache.read(SPACE, list(rows)) == {}


class TestTheCap:
    CAP = 1_500_000

    def test_the_file_stays_within_it_and_the_newest_rows_stay(self, path: Path) -> None:
        cache = FeatureCache(path, cap_bytes=self.CAP)
        for start in range(0, 2400, 100):
            cache.write(SPACE, rows_of(range(start, start + 100), width=500))
            assert path.stat().st_size <= self.CAP
            last = rows_of(range(start, start + 100), width=500)
            assert same(cache.read(SPACE, list(last)), last)
        assert cache.summary().rows * 2000 > 0.6 * self.CAP
        assert cache.read(SPACE, list(rows_of(range(100), width=500))) == {}
        execute(path, "PRAGMA integrity_check")

    def test_what_was_read_lately_outlives_what_was_written_lately(self, path: Path) -> None:
        cache = FeatureCache(path, cap_bytes=self.CAP)
        old, newer = rows_of(range(100), width=500), rows_of(range(100, 500), width=500)
        cache.write("old", old)
        cache.write("newer", newer)
        cache.read("old", list(old))
        cache.write("newest", rows_of(range(500, 800), width=500))
        assert same(cache.read("old", list(old)), old)
        assert len(cache.read("newer", list(newer))) < len(newer)

    def test_a_smaller_one_shrinks_the_file(self, cache: FeatureCache, path: Path) -> None:
        cache.write(SPACE, rows_of(range(2000), width=500))
        assert path.stat().st_size > 2 * self.CAP
        small = FeatureCache(path, cap_bytes=self.CAP)
        small.write("new", rows_of("a"))
        assert 0.5 * self.CAP < path.stat().st_size <= self.CAP
        assert same(small.read("new", list(rows_of("a"))), rows_of("a"))

    @pytest.mark.parametrize("cap_bytes", [1, 50_000, 400_000])
    def test_more_than_it_at_once_keeps_what_fits(self, path: Path, cap_bytes: int) -> None:
        cache = FeatureCache(path, cap_bytes=cap_bytes)
        rows = rows_of(range(1000), width=500)
        cache.write(SPACE, rows)
        found = cache.read(SPACE, list(rows))
        assert same(found, {content: rows[content] for content in found})
        assert path.stat().st_size <= max(cap_bytes, 8 * 16384)
        assert len(found) * 2000 >= 0.5 * cap_bytes or cap_bytes < 8 * 16384

    @pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are POSIX")
    def test_far_more_than_it_does_not_fill_the_disk_for_a_moment(self, path: Path) -> None:
        python(
            f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({2 * self.CAP}, {2 * self.CAP}))\n"
            f"cache = FeatureCache(Path({str(path)!r}), cap_bytes={self.CAP})\n"
            "rows = rows_of(range(5000), width=500)\n"
            "cache.write('s', rows); assert len(cache.read('s', list(rows))) > 100",
            path,
        )

    def test_none_turns_it_off(self, cache: FeatureCache, path: Path) -> None:
        cache.write(SPACE, rows_of("a"))
        off = FeatureCache(path, cap_bytes=0)
        assert off.read(SPACE, list(rows_of("a"))) == {}
        off.write(SPACE, rows_of("b"))
        assert cache.summary().rows == 1

    def test_what_the_code_says_wins(self, monkeypatch, path: Path) -> None:
        monkeypatch.setenv("CATSDOGS_CACHE_LIMIT", "5MB")
        assert FeatureCache(path).summary() == CacheSummary(rows=0, bytes=0, cap_bytes=5_000_000)
        assert FeatureCache(path, cap_bytes=7).summary().cap_bytes == 7


PROLOGUE = """
import importlib.util, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("rows", {here!r})
rows = importlib.util.module_from_spec(spec)
spec.loader.exec_module(rows)
FeatureCache, rows_of, same = rows.FeatureCache, rows.rows_of, rows.same
cache = FeatureCache(Path({path!r}))
"""


def start(code: str, path: Path) -> subprocess.Popen:
    program = PROLOGUE.format(here=__file__, path=str(path)) + code
    return subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def python(code: str, path: Path) -> None:
    process = start(code, path)
    _, complaints = process.communicate(timeout=60)
    assert process.returncode == 0, complaints


class TestManyProcesses:
    def test_write_and_read_together_and_no_row_is_lost(self, path: Path) -> None:
        code = (
            "for piece in range(6):\n"
            "    mine = rows_of([f'{me} {piece} {i}' for i in range(40)])\n"
            "    cache.write('s', mine)\n"
            "    assert same(cache.read('s', list(mine)), mine)\n"
        )
        processes = [start(f"me = {me}\n{code}", path) for me in range(3)]
        for process in processes:
            _, complaints = process.communicate(timeout=60)
            assert process.returncode == 0, complaints
        rows = rows_of([f"{me} {piece} {i}" for me in range(3) for piece in range(6) for i in range(40)])
        assert same(FeatureCache(path).read("s", list(rows)), rows)

    def test_find_the_same_damage(self, path: Path) -> None:
        path.parent.mkdir()
        spoil_header(path)
        code = "for i in range(8): cache.write('s', rows_of([f'{me} {i}'])); cache.read('s', [b'x'])"
        processes = [start(f"me = {me}\n{code}", path) for me in range(3)]
        for process in processes:
            _, complaints = process.communicate(timeout=60)
            assert process.returncode == 0, complaints
        last = rows_of([f"{me} 7" for me in range(3)])
        assert FeatureCache(path).read("s", list(last))

    @pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
    def test_a_killed_writer_leaves_whole_rows(self, path: Path) -> None:
        code = (
            "print('ready', flush=True)\n"
            "for i in range(10**6): cache.write('s', rows_of([f'{i} {j}' for j in range(200)], width=400))"
        )
        for delay_s in (0.02, 0.05):
            process = start(code, path)
            process.stdout.readline()
            while not path.exists() or not path.stat().st_size:
                time.sleep(0.005)
            time.sleep(delay_s)
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=60)
            cache = FeatureCache(path)
            cache.write("after", rows_of("a"))
            assert same(cache.read("after", list(rows_of("a"))), rows_of("a"))
            rows = rows_of([f"0 {j}" for j in range(200)], width=400)
            found = cache.read("s", list(rows))
            assert not found or same(found, rows)
            database = sqlite3.connect(path)
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            database.close()

    def test_one_that_clears_does_not_disturb_one_that_writes(self, path: Path) -> None:
        code = (
            "for i in range(60):\n"
            "    cache.write('s', rows_of([f'{i} {j}' for j in range(20)]))\n"
            "    cache.read('s', list(rows_of([f'{i} 1'])))\n"
            "cache.write('end', rows_of('ab'))\n"
            "assert same(cache.read('end', list(rows_of('ab'))), rows_of('ab'))\n"
        )
        process = start(code, path)
        while process.poll() is None:
            FeatureCache(path).clear()
            time.sleep(0.01)
        _, complaints = process.communicate(timeout=60)
        assert process.returncode == 0 or "AssertionError" in complaints, complaints
        cache = FeatureCache(path)
        cache.write("s", rows_of("a"))
        assert same(cache.read("s", list(rows_of("a"))), rows_of("a"))

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows deletes no file that is open")
    def test_a_writer_whose_file_was_deleted_writes_to_the_new_one(self, path: Path, monkeypatch) -> None:
        cache = FeatureCache(path)
        cache.write(SPACE, rows_of("a"))
        work = module.write_rows
        deleted = []

        def delete_first(*args, **kwargs) -> None:
            if not deleted:
                deleted.append(cache.clear())
            work(*args, **kwargs)

        monkeypatch.setattr(module, "write_rows", delete_first)
        cache.write(SPACE, rows_of("b"))
        assert deleted[0] > 0
        assert same(cache.read(SPACE, list(rows_of("ab"))), rows_of("b"))


class TestSpeed:
    def test_two_thousand_rows_are_there_at_once(self, cache: FeatureCache) -> None:
        values = np.random.default_rng(0).standard_normal((2000, 1768), dtype=np.float32)
        rows = dict(zip((hashlib.sha256(row).digest() for row in values), values, strict=True))
        cache.write(SPACE, rows)
        seconds = []
        for _ in range(3):
            started = time.perf_counter()
            assert len(cache.read(SPACE, list(rows))) == 2000
            seconds.append(time.perf_counter() - started)
        assert min(seconds) < 0.3


class TestSummaryAndClearing:
    def test_tell_and_free_what_is_there(self, cache: FeatureCache, path: Path) -> None:
        assert cache.summary() == CacheSummary(0, 0, DEFAULT_CAP_BYTES)
        assert cache.clear() == 0
        cache.write(SPACE, rows_of("abc"))
        size = path.stat().st_size
        assert cache.summary() == CacheSummary(3, size, DEFAULT_CAP_BYTES)
        assert cache.clear() == size
        assert list(path.parent.iterdir()) == []
        cache.write(SPACE, rows_of("a"))
        assert cache.summary().rows == 1
