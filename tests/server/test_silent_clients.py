"""Memory of pages that clients do not read, and eviction by address."""

import gzip
import itertools
import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
import requests
import yaml

from probe.clock import Clock
from probe.history.history import History
from probe.server.app import create_app
from probe.server.compression import PIECE_BYTES, compress
from probe.server.server import Server, bind
from tests.commands import running
from tests.server.http_server_fixture import http_server, read_until_closed
from tests.server.page_fixtures import lifecycle_of, wait_until
from tests.server.silent_clients import (
    is_open,
    resident_bytes,
    silent_clients,
    socket_memory_bytes,
)
from tests.server.test_tls_server import client as tls_client
from tests.server.test_tls_server import config as tls_config

pytestmark = pytest.mark.timing

LINES = 40_000
MIB = 1024**2


@contextmanager
def large_page() -> Iterator[int]:
    """Serve scrapes of 1.3 MB, of which no two are alike, and yield the port."""
    numbers = itertools.count()

    def render(_: str) -> tuple[list[str], str]:
        number = next(numbers)
        return [f"value_{number}_{line} {line}\n" * 2 for line in range(LINES // 2)], "text/plain"

    listener = bind("127.0.0.1:0")
    app = create_app(render, dict, History(lambda: 0.0), lifecycle_of(), Clock())
    server = Server(app, listener, Clock())
    server.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.stop()


def connect(port: int) -> socket.socket:
    """Return a connection with a receive buffer that is small compared with the page."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)
    client.settimeout(10)
    client.connect(("127.0.0.1", port))
    return client


def read_slowly(client: socket.socket, bytes_per_second: int) -> bytes:
    """Read to the end at this rate."""
    received, start = bytearray(), time.monotonic()
    while data := client.recv(16 * 1024):
        received += data
        time.sleep(max(0.0, start + len(received) / bytes_per_second - time.monotonic()))
    return bytes(received)


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_a_body_in_pieces_is_complete(encoding: str) -> None:
    """Both encodings of one rendering have all bytes, and the length is announced."""
    with large_page() as port:
        url = f"http://127.0.0.1:{port}/metrics"
        response = requests.get(url, headers={"Accept-Encoding": encoding}, timeout=10, stream=True)
        raw = response.raw.read(decode_content=False)
        head = requests.head(url, headers={"Accept-Encoding": encoding}, timeout=10)
    assert response.headers.get("Content-Encoding") == (None if encoding == "identity" else "gzip")
    assert response.headers["Vary"] == "Accept-Encoding"
    assert int(response.headers["Content-Length"]) == len(raw)
    text = gzip.decompress(raw).decode() if encoding == "gzip" else raw.decode()
    assert text.count("\n") == LINES
    assert text.startswith("value_0_0 0\nvalue_0_0 0\nvalue_0_1 1\n")
    assert text.endswith(f"value_0_{LINES // 2 - 1} {LINES // 2 - 1}\n")
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize(
    "sizes", [[], [0], [PIECE_BYTES], [1, PIECE_BYTES, 1], [9000] * 5, [50_000]]
)
@pytest.mark.parametrize("character", ["a", "é"])
def test_pieces_are_limited(sizes: list[int], character: str) -> None:
    """Texts of any size, and of more bytes than characters, are joined or divided."""
    parts = [character * size for size in sizes]
    body = compress(parts)
    pieces = list(body.plain_pieces())
    assert b"".join(pieces).decode() == "".join(parts)
    assert max(map(len, pieces)) <= PIECE_BYTES
    assert gzip.decompress(b"".join(body.gzip_pieces())).decode() == "".join(parts)


def test_a_compressed_body_has_few_pieces() -> None:
    """The event loop sends one piece at a time, and is slow while a scrape is rendered."""
    text = "".join(f"value_{line} {line}\n" for line in range(LINES))
    body = compress([text])
    pieces = list(body.gzip_pieces())
    assert gzip.decompress(b"".join(pieces)).decode() == text
    assert max(map(len, pieces)) == PIECE_BYTES
    assert len(pieces) <= body.gzip_size // PIECE_BYTES + 3  # with header, trailer and the rest


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /metrics HTTP/1.0\r\n\r\n",
    ],
    ids=["close", "1.0"],
)
@pytest.mark.parametrize("bytes_per_second", [100_000_000, 1_500_000], ids=["fast", "slow"])
def test_a_large_response_that_ends_the_connection(
    caplog: pytest.LogCaptureFixture, request_: bytes, bytes_per_second: int
) -> None:
    """The client gets the whole page, larger than the send buffer, and nothing is logged."""
    with large_page() as port:
        with closing(connect(port)) as client:
            client.sendall(request_)
            response = read_slowly(client, bytes_per_second)
        with closing(connect(port)) as client:  # reads a part, and disconnects
            client.sendall(request_)
            client.recv(1000)
        time.sleep(0.1)
    head, _, body = response.partition(b"\r\n\r\n")
    assert f"content-length: {len(body)}".encode() in head.lower()
    assert body.count(b"\n") == LINES
    assert not caplog.records


def test_a_reading_client_has_all_the_time_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The timeout applies to each piece, not to the whole page."""
    monkeypatch.setattr("probe.server.connection_transport.WRITE_TIMEOUT_SECONDS", 0.6)
    with large_page() as port, closing(connect(port)) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        start = time.monotonic()
        assert read_slowly(client, 500_000).count(b"value_") == LINES
        assert time.monotonic() - start > 1.2


def test_a_pipelined_half_request_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the timeout of a request, not that of an idle connection."""
    monkeypatch.setattr("probe.server.connection_protocol.REQUEST_TIMEOUT_SECONDS", 0.3)
    with http_server() as site:
        start = time.monotonic()
        response = site.exchange(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n")
        assert time.monotonic() - start < 3
    assert response.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 408 " in response


def orphaned_sockets(port: int) -> int:
    """Return the number of closed connections to `port` for which the kernel still has data."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    # Columns: number, local address, remote address, state, send queue:receive queue, ... inode.
    return sum(
        row[1].endswith(f":{port:04X}") and not row[4].startswith("00000000:") and row[9] == "0"
        for row in rows
    )


def test_unsent_bodies_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that do not read are evicted, with what the kernel has for them. Others are not."""
    monkeypatch.setattr("probe.server.acceptor.MAX_UNSENT_BYTES", MIB // 2)
    with large_page() as port, ExitStack() as stack:
        reading = stack.enter_context(ThreadPoolExecutor(1))
        slow = stack.enter_context(closing(connect(port)))
        slow.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        page = reading.submit(read_slowly, slow, 300_000)
        silent = stack.enter_context(
            silent_clients(port, 20, "/metrics", address="127.0.0.2", seconds_between=0.05)
        )

        def are_evicted_after_a_scrape() -> bool:
            requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10).raise_for_status()
            return sum(map(is_open, silent)) < 5

        wait_until(are_evicted_after_a_scrape, seconds=30)
        wait_until(lambda: orphaned_sockets(port) == 0)
        assert page.result().count(b"value_") == LINES


def test_slow_readers_have_a_higher_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above it, readers of the address with the most of them are evicted."""
    monkeypatch.setattr("probe.server.acceptor.MAX_UNSENT_BYTES", 0)
    monkeypatch.setattr("probe.server.acceptor.MAX_UNSENT_BYTES_OF_READERS", MIB)
    monkeypatch.setattr("probe.server.acceptor.STALLED_SECONDS", 1000.0)  # all of them read
    with large_page() as port, ExitStack() as stack:
        reader = stack.enter_context(closing(connect(port)))
        reader.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert reader.recv(1000)
        slow = []
        for _ in range(12):
            client = stack.enter_context(silent_clients(port, 1, "/metrics", address="127.0.0.2"))[
                0
            ]
            assert client.recv(1)  # so that the next client gets another body
            slow.append(client)
        wait_until(lambda: 0 < sum(map(is_open, slow)) < 10)
        assert read_slowly(reader, 100_000_000).count(b"value_") > LINES // 2


def test_a_stop_does_not_wait_for_silent_clients(caplog: pytest.LogCaptureFixture) -> None:
    """They have a second to read their responses, and nothing is logged as an error."""
    with ExitStack() as stack:
        with large_page() as port:
            stack.enter_context(silent_clients(port, 5, "/metrics"))
            time.sleep(0.3)
            start = time.monotonic()
        assert 0.9 < time.monotonic() - start < 4
    assert not caplog.records


def test_an_address_with_many_connections_evicts_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection of another address stays open, even if it has been idle longest."""
    monkeypatch.setattr("probe.server.acceptor.MAX_CONNECTIONS", 8)
    with http_server() as site, closing(HTTPConnection(site.host, timeout=10)) as scraper:
        scraper.request("GET", "/")
        assert scraper.getresponse().read() == b"False "
        scraper.auto_open = False
        with silent_clients(site.port, 30, "/", address="127.0.0.2") as clients:
            wait_until(lambda: sum(map(is_open, clients)) == 7)
            scraper.request("GET", "/")
            assert scraper.getresponse().read() == b"False "


def test_an_address_with_many_handshakes_evicts_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handshake of another address can be completed."""
    monkeypatch.setattr("probe.server.acceptor.MAX_HANDSHAKES", 4)
    with http_server(tls_config(tmp_path)) as site, ExitStack() as stack:
        scraper = stack.enter_context(closing(site.connect()))
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = tls_client().wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
        with pytest.raises(ssl.SSLWantReadError):
            session.do_handshake()
        scraper.sendall(outgoing.read())
        incoming.write(scraper.recv(100_000))
        for _ in range(10):
            other = stack.enter_context(closing(socket.socket()))
            other.bind(("127.0.0.2", 0))
            other.connect(("127.0.0.1", site.port))
            other.sendall(b"\x16")
        time.sleep(0.2)
        session.do_handshake()
        session.write(b"GET / HTTP/1.0\r\n\r\n")
        scraper.sendall(outgoing.read())
        incoming.write(read_until_closed(scraper))
        assert session.read(1000).startswith(b"HTTP/1.1 ")


def assert_silent_clients_are_cheap(
    directory: Path, *, probes: int, clients: int, max_bytes: int, slow_reader: bool
) -> None:
    """Assert that silent clients cost less than `max_bytes` each of RSS and of socket memory."""
    path = directory / "probe.yml"
    probe = {"url": "http://127.0.0.1:9/", "interval": "30s"}
    path.write_text(yaml.safe_dump({"probes": [{"name": f"m{n}", **probe} for n in range(probes)]}))
    with running(f"--config.file={path}") as daemon, ExitStack() as stack:
        pid, port = daemon.process.pid, int(daemon.url.rpartition(":")[2])
        for encoding in ("identity", "gzip") * 3:
            daemon.get("/metrics", headers={"Accept-Encoding": encoding})
        resident = resident_bytes(pid)
        silent = stack.enter_context(
            silent_clients(port, clients, "/metrics", address="127.0.0.2", seconds_between=0.01)
        )
        for _ in range(5):
            start = time.monotonic()
            assert daemon.get("/metrics").status_code == 200
            assert time.monotonic() - start < 1
            assert resident_bytes(pid) - resident < max_bytes
            assert socket_memory_bytes(port) < max_bytes
            time.sleep(0.2)
        assert any(map(is_open, silent))
        if slow_reader:
            client = stack.enter_context(closing(connect(port)))
            client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            response = read_slowly(client, 100_000)
            assert response.endswith(b"\n")
            assert len(response) > 5_000_000
        assert "Traceback" not in daemon.log()


def test_silent_clients_are_cheap(tmp_path: Path) -> None:
    """60 clients that do not read pages of 900 kB cost a few MB."""
    assert_silent_clients_are_cheap(
        tmp_path, probes=60, clients=60, max_bytes=8 * MIB, slow_reader=False
    )


@pytest.mark.full  # the slow client reads for a minute
def test_many_silent_clients_are_cheap(tmp_path: Path) -> None:
    """250 clients that do not read pages of 5 MB cost less than 20 MB; a slow one gets its page."""
    assert_silent_clients_are_cheap(
        tmp_path, probes=1000, clients=250, max_bytes=20_000_000, slow_reader=True
    )
