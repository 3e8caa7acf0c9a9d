import hashlib
import http.server
import random
import re
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from catsdogs.core.errors import DataError, OutputError
from catsdogs.data.download import PUBLIC_ARCHIVE, Archive, download_public_archive

CONTENT = random.Random(0).randbytes(3_000_000)


@dataclass
class Server:
    """A server on this machine that breaks in the ways that servers do."""

    url: str = ""
    ranges: list[str | None] = field(default_factory=list)
    content: bytes = CONTENT
    knows_ranges: bool = True
    break_after: int | None = None  # bytes of one answer
    breaks_left: int = 0
    status: int | None = None
    announced: int | None = None

    @property
    def archive(self) -> Archive:
        return Archive(f"{self.url}/cats.zip", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


class Handler(http.server.BaseHTTPRequestHandler):
    server: "http.server.ThreadingHTTPServer"

    def do_GET(self) -> None:
        played: Server = self.server.played
        asked = self.headers.get("Range")
        played.ranges.append(asked)
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and played.knows_ranges else 0
        size = len(played.content)
        if played.status or (start >= size and start):
            self.send_error(played.status or 416)
            return
        body = played.content[start:]
        self.send_response(206 if asked and played.knows_ranges else 200)
        if asked and played.knows_ranges:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.send_header("Content-Length", str(len(body) if played.announced is None else played.announced))
        self.end_headers()
        if played.breaks_left:
            played.breaks_left -= 1
            body = body[: played.break_after]
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    played = Server()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        serving.played = played
        serving.daemon_threads = True
        played.url = f"http://127.0.0.1:{serving.server_address[1]}"
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield played
        serving.shutdown()
        thread.join()


def no_network(*_: object, **__: object) -> None:
    raise AssertionError("asked the network")


def refusal(call: Callable[[], object], kind: type[Exception] = DataError) -> str:
    with pytest.raises(kind) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def files(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.iterdir()}


def test_it_fetches_once_and_tells_how_far_it_is(tmp_path, server):
    told: list[int] = []
    target = download_public_archive(tmp_path / "new" / "data", archive=server.archive, advance=told.append)
    assert target == tmp_path / "new" / "data" / "cats.zip"
    assert target.read_bytes() == CONTENT
    assert sum(told) == len(CONTENT)
    assert files(target.parent) == {"cats.zip": len(CONTENT)}
    again = download_public_archive(target.parent, archive=server.archive, opener=no_network)
    assert again == target
    assert server.ranges == [None]


def test_a_file_of_that_name_with_other_bytes_is_fetched_anew(tmp_path, server):
    (tmp_path / "cats.zip").write_bytes(bytes(len(CONTENT)))
    assert download_public_archive(tmp_path, archive=server.archive).read_bytes() == CONTENT


def test_a_broken_connection_is_taken_up_where_it_broke(tmp_path, server):
    server.break_after, server.breaks_left = 1_200_000, 2
    told: list[int] = []
    target = download_public_archive(tmp_path, archive=server.archive, advance=told.append)
    assert target.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=1200000-", "bytes=2400000-"]
    assert sum(told) == len(CONTENT)


def test_an_interruption_keeps_what_came_and_the_next_call_goes_on(tmp_path, server):
    def interrupt(count: int) -> None:
        if count:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download_public_archive(tmp_path, archive=server.archive, advance=interrupt)
    assert files(tmp_path) == {"cats.zip.part": 2**20}
    told: list[int] = []
    target = download_public_archive(tmp_path, archive=server.archive, advance=told.append)
    assert target.read_bytes() == CONTENT
    assert server.ranges[-1] == f"bytes={2**20}-"
    assert told[0] == 2**20
    assert sum(told) == len(CONTENT)


def test_a_server_without_ranges_starts_over(tmp_path, server):
    server.knows_ranges = False
    (tmp_path / "cats.zip.part").write_bytes(CONTENT[:999])
    told: list[int] = []
    target = download_public_archive(tmp_path, archive=server.archive, advance=told.append)
    assert target.read_bytes() == CONTENT
    assert told[:2] == [999, -999]
    assert sum(told) == len(CONTENT)


def test_a_part_that_is_too_long_starts_over_and_a_whole_one_is_only_checked(tmp_path, server):
    part = tmp_path / "cats.zip.part"
    part.write_bytes(CONTENT + b"more")
    target = download_public_archive(tmp_path, archive=server.archive)
    assert target.read_bytes() == CONTENT
    assert server.ranges == [None]
    target.rename(part)
    assert download_public_archive(tmp_path, archive=server.archive, opener=no_network) == target


def test_a_wrong_checksum_removes_what_came(tmp_path, server):
    server.content = CONTENT[:-1] + b"?"
    message = refusal(lambda: download_public_archive(tmp_path, archive=server.archive))
    assert "another checksum" in message
    assert "browser" in message
    assert files(tmp_path) == {}
    server.content = CONTENT
    (tmp_path / "cats.zip.part").write_bytes(b"wrong")
    refusal(lambda: download_public_archive(tmp_path, archive=server.archive))
    assert files(tmp_path) == {}
    assert download_public_archive(tmp_path, archive=server.archive).read_bytes() == CONTENT


@pytest.mark.parametrize("have", [0, 1_000_000])
def test_another_file_is_noticed_before_it_is_fetched(tmp_path, server, have):
    (tmp_path / "cats.zip.part").write_bytes(CONTENT[:have])
    server.content = b"<html>please log in</html>" * 50_000
    message = refusal(lambda: download_public_archive(tmp_path, archive=server.archive))
    assert "sends another file" in message
    assert files(tmp_path) == {"cats.zip.part": have}


def test_a_range_that_the_server_refuses_is_asked_for_no_more(tmp_path, server):
    server.content = CONTENT[:1000]
    (tmp_path / "cats.zip.part").write_bytes(CONTENT[:1000])
    refusal(lambda: download_public_archive(tmp_path, archive=server.archive))
    assert server.ranges == ["bytes=1000-", None]


def test_a_server_that_always_breaks_is_given_up(tmp_path, server):
    server.break_after, server.breaks_left = 0, 100
    message = refusal(lambda: download_public_archive(tmp_path, archive=server.archive))
    assert "the connection broke at 0 of 3,000,000 bytes; run again" in message
    server.knows_ranges, server.break_after = False, 1000
    message = refusal(lambda: download_public_archive(tmp_path, archive=server.archive))
    assert "the connection broke at 1,000 of" in message
    assert files(tmp_path) == {"cats.zip.part": 1000}


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_what_the_server_answers_is_told(tmp_path, server, status):
    server.status = status
    message = refusal(lambda: download_public_archive(tmp_path, archive=server.archive))
    assert f"the server answers {status}" in message
    assert "fetch it with a browser into" in message


def test_no_network_is_told_with_the_way_around_it(tmp_path, server):
    refused = Archive("http://127.0.0.1:1/cats.zip", 10, "")
    message = refusal(lambda: download_public_archive(tmp_path, archive=refused))
    assert message.startswith("cannot fetch http://127.0.0.1:1/cats.zip: no answer, ")
    assert f"browser into {tmp_path}" in message
    unknown = Archive("http://catsdogs.invalid/cats.zip", 10, "")
    assert "no answer" in refusal(lambda: download_public_archive(tmp_path, archive=unknown))


def test_a_folder_that_cannot_be_written_is_told(tmp_path, server):
    (tmp_path / "file").write_bytes(b"")
    message = refusal(lambda: download_public_archive(tmp_path / "file", archive=server.archive), OutputError)
    assert message.startswith(f"cannot write to {tmp_path / 'file'}")


def test_two_at_once_do_not_spoil_each_other(tmp_path, server):
    results: list[bytes] = []

    def fetch() -> None:
        results.append(download_public_archive(tmp_path, archive=server.archive).read_bytes())

    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [CONTENT] * 4
    assert files(tmp_path) == {"cats.zip": len(CONTENT)}


def test_the_public_archive_is_the_one_that_needs_no_login():
    assert PUBLIC_ARCHIVE.name == "kagglecatsanddogs_5340.zip"
    assert PUBLIC_ARCHIVE.size_bytes == 824_887_076
    assert len(PUBLIC_ARCHIVE.sha256) == 64


@pytest.mark.network
def test_the_public_archive_is_still_there(tmp_path):
    def enough(count: int) -> None:
        if count:
            raise KeyboardInterrupt

    try:
        download_public_archive(tmp_path, advance=enough)
    except KeyboardInterrupt:
        pass
    except DataError as error:
        if "no answer" not in str(error):
            raise
        pytest.skip(str(error))
    part = tmp_path / "kagglecatsanddogs_5340.zip.part"
    assert part.read_bytes()[:4] == b"PK\x03\x04"
    assert not zipfile.is_zipfile(part)
