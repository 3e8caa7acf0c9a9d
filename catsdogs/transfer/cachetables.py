"""The tables of the feature cache: finding rows, adding them, forgetting the least recently used.

Every function works on an open connection in autocommit mode and opens its own transactions.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt

Row = npt.NDArray[np.float32]

# "cdfc": tells our file from any other database at its place. The version changes with the tables.
_APPLICATION_ID = 0x63646663
_VERSION = 1
# What is read and written with every use is apart from the numbers, so that noting a use stays cheap.
_TABLES = """
CREATE TABLE spaces(id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, width INTEGER NOT NULL);
CREATE TABLE rows(id INTEGER PRIMARY KEY, space INTEGER NOT NULL, content BLOB NOT NULL,
                  used INTEGER NOT NULL, UNIQUE(space, content));
CREATE TABLE numbers(id INTEGER PRIMARY KEY, checksum INTEGER NOT NULL, data BLOB NOT NULL);
"""
# Of 4 to 64 KiB, the size that wastes least on rows of 512 to 3,000 numbers.
_PAGE_BYTES = 16_384
_TOUCH_PATIENCE_MS = 200
# What is over the cap is brought well under it, so that not every later write evicts again.
_EVICT_TO = 0.9
_EVICT_AT_LEAST = 0.05


class ForeignDatabaseError(sqlite3.DatabaseError):
    """The file is another program's database, or has the tables of another version."""

    sqlite_errorcode = sqlite3.SQLITE_NOTADB


def count_rows(database: sqlite3.Connection) -> int:
    """Return how many rows all spaces have together."""
    return _number(database, "SELECT COUNT(*) FROM rows") if _is_ours(database) else 0


def read_rows(database: sqlite3.Connection, space: str, contents: Sequence[bytes]) -> dict[bytes, Row]:
    """Return the rows that are there and whole, and note that they were used."""
    database.execute("BEGIN")
    if not _is_ours(database):
        return {}
    found: dict[bytes, Row] = {}
    ids: list[int] = []
    for id, width, content, checksum, data in _stored(database, space, contents):
        row = _whole(data, width)
        if row is not None and checksum == _checksum(space, content, data):
            found[content] = row
            ids.append(id)
    database.execute("COMMIT")
    _touch(database, ids)
    return found


def write_rows(
    database: sqlite3.Connection, space: str, rows: Mapping[bytes, Row], *, width: int, cap_bytes: int
) -> None:
    """Add rows in one transaction, make the tables where there are none, and evict what is over the cap."""
    # Both take effect only when the first table is made. Incremental vacuum lets the file shrink.
    database.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
    database.execute("PRAGMA auto_vacuum = INCREMENTAL")
    database.execute("BEGIN IMMEDIATE")
    if not _is_ours(database):
        _create(database)
    fitting = int(cap_bytes * _EVICT_TO) // (4 * width)
    _insert(database, space, dict(islice(rows.items(), fitting)), width)
    if _filled_bytes(database) > cap_bytes:
        _evict(database, cap_bytes)
    _hand_back(database, cap_bytes)
    database.execute("COMMIT")


def _is_ours(database: sqlite3.Connection) -> bool:
    """Tell our database from one without tables; any other is foreign."""
    found = (_number(database, "PRAGMA application_id"), _number(database, "PRAGMA user_version"))
    if found == (_APPLICATION_ID, _VERSION):
        return True
    if _number(database, "SELECT COUNT(*) FROM sqlite_master"):
        raise ForeignDatabaseError
    return False


def _create(database: sqlite3.Connection) -> None:
    for statement in _TABLES.split(";"):
        database.execute(statement)
    database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    database.execute(f"PRAGMA user_version = {_VERSION}")


def _stored(
    database: sqlite3.Connection, space: str, contents: Sequence[bytes]
) -> Iterator[tuple[int, int, bytes, int, bytes]]:
    """Yield id, width, content, checksum and data of the rows that are there, whole or not."""
    known = database.execute("SELECT id, width FROM spaces WHERE key = ?", (space,)).fetchone()
    query = "SELECT id, checksum, data FROM rows JOIN numbers USING (id) WHERE space = ? AND content = ?"
    for content in contents if known else ():
        for id, checksum, data in database.execute(query, (known[0], content)):
            yield id, known[1], content, checksum, data


def _whole(data: bytes, width: int) -> Row | None:
    if len(data) != 4 * width:
        return None
    row = np.frombuffer(data, dtype="<f4").astype(np.float32, copy=False)
    return row if np.isfinite(row).all() else None


def _touch(database: sqlite3.Connection, ids: Sequence[int]) -> None:
    """Note that rows were used; that is not worth waiting for, and a read-only file cannot take it."""
    now = time.time_ns()
    with contextlib.suppress(sqlite3.OperationalError):
        database.execute(f"PRAGMA busy_timeout = {_TOUCH_PATIENCE_MS}")
        database.execute("BEGIN IMMEDIATE")
        database.executemany("UPDATE rows SET used = ? WHERE id = ?", ((now, id) for id in ids))
        database.execute("COMMIT")


def _insert(database: sqlite3.Connection, space: str, rows: Mapping[bytes, Row], width: int) -> None:
    space_id = _space_id(database, space, width)
    known = "SELECT id FROM rows WHERE space = ? AND content = ?"
    _forget(database, [id for one in rows for (id,) in database.execute(known, (space_id, one))])
    first = _number(database, "SELECT IFNULL(MAX(id), 0) + 1 FROM rows")
    now = time.time_ns()
    database.executemany(
        "INSERT INTO rows VALUES (?, ?, ?, ?)",
        ((id, space_id, content, now) for id, content in enumerate(rows, first)),
    )
    packed = ((content, row.tobytes()) for content, row in rows.items())
    database.executemany(
        "INSERT INTO numbers VALUES (?, ?, ?)",
        ((id, _checksum(space, content, data), data) for id, (content, data) in enumerate(packed, first)),
    )


def _space_id(database: sqlite3.Connection, space: str, width: int) -> int:
    """Return the number of a space; its rows of another width are forgotten."""
    known = database.execute("SELECT id, width FROM spaces WHERE key = ?", (space,)).fetchone()
    if known is None:
        added = database.execute("INSERT INTO spaces(key, width) VALUES (?, ?)", (space, width))
        return int(added.lastrowid or 0)
    if known[1] != width:
        old = database.execute("SELECT id FROM rows WHERE space = ?", (known[0],)).fetchall()
        _forget(database, [id for (id,) in old])
        database.execute("UPDATE spaces SET width = ? WHERE id = ?", (width, known[0]))
    return int(known[0])


def _evict(database: sqlite3.Connection, cap_bytes: int) -> None:
    """Forget the least recently used rows until the pages in use are well under the cap."""
    target = int(cap_bytes * _EVICT_TO)
    while (filled := _filled_bytes(database)) > target:
        excess = max(filled - target, cap_bytes * _EVICT_AT_LEAST)
        oldest = _oldest(database, share=excess / filled)
        if not oldest:
            break
        _forget(database, oldest)
    database.execute("DELETE FROM spaces WHERE id NOT IN (SELECT space FROM rows)")


def _oldest(database: sqlite3.Connection, *, share: float) -> list[int]:
    """Return the least recently used rows that make up a share of all the numbers."""
    query = "SELECT rows.id, width FROM rows JOIN spaces ON space = spaces.id ORDER BY used, rows.id"
    rows = np.array(database.execute(query).fetchall(), dtype=np.int64).reshape(-1, 2)
    before = np.cumsum(rows[:, 1]) - rows[:, 1]
    return [int(id) for id in rows[before < share * rows[:, 1].sum(), 0]]


def _forget(database: sqlite3.Connection, ids: Sequence[int]) -> None:
    for statement in ("DELETE FROM rows WHERE id = ?", "DELETE FROM numbers WHERE id = ?"):
        database.executemany(statement, ((id,) for id in ids))


def _filled_bytes(database: sqlite3.Connection) -> int:
    pages = _number(database, "PRAGMA page_count") - _number(database, "PRAGMA freelist_count")
    return pages * _number(database, "PRAGMA page_size")


def _hand_back(database: sqlite3.Connection, cap_bytes: int) -> None:
    """Shorten a file that is longer than the cap; other free pages stay for the rows to come."""
    beyond = _number(database, "PRAGMA page_count") - cap_bytes // _number(database, "PRAGMA page_size")
    # One page a call: Python's module steps this statement, which has no columns, only once.
    for _ in range(min(beyond, _number(database, "PRAGMA freelist_count"))):
        database.execute("PRAGMA incremental_vacuum(1)")


def _number(database: sqlite3.Connection, query: str) -> int:
    return int(database.execute(query).fetchone()[0])


def _checksum(space: str, content: bytes, data: bytes) -> int:
    return zlib.crc32(data, zlib.crc32(content, zlib.crc32(space.encode())))
