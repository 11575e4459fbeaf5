"""What a client may ask for and how long it may take: nobody keeps others from being served."""

import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from http.client import HTTPConnection
from pathlib import Path

import pytest
import requests

from probe.server.limits import MAX_CLIENTS, RateLimiter
from tests.commands import running
from tests.server.http_server_fixture import LARGE, Door, door, until_closed

BEGUN = b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "


@pytest.fixture
def site() -> Iterator[Door]:
    with door() as opened:
        yield opened


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    """A server that waits half a second for anything."""
    monkeypatch.setattr("probe.server.client_protocol.REQUEST_TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr("probe.server.client_protocol.WRITE_TIMEOUT_SECONDS", 0.5)
    with door() as opened:
        yield opened


def _drip(clients: list[socket.socket], done: threading.Event) -> None:
    while not done.wait(0.5):
        for client in clients:
            with suppress(OSError):  # it has been shown out
                client.send(b"x")


def test_slow_clients_block_nobody(site: Door) -> None:
    """With 300 connections that send a byte now and then, a scrape takes less than a second."""
    done = threading.Event()
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(site.connect())) for _ in range(300)]
        for client in clients:
            client.sendall(BEGUN)
        dripping = threading.Thread(target=_drip, args=(clients, done))
        dripping.start()
        try:
            for _ in range(5):
                began = time.monotonic()
                assert requests.get(f"http://{site.host}/", timeout=5).status_code == 200
                assert time.monotonic() - began < 1
                time.sleep(0.2)
        finally:
            done.set()
            dripping.join()


def test_clients_that_do_not_read_block_nobody(site: Door) -> None:
    """With 260 connections that ask for much and take nothing, a scrape is answered, and once what
    they ask for is made, at once.
    """
    with ExitStack() as stack:
        for _ in range(260):
            client = stack.enter_context(closing(site.connect()))
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        assert requests.get(f"http://{site.host}/", timeout=5).status_code == 200
        began = time.monotonic()
        assert requests.get(f"http://{site.host}/", timeout=5).status_code == 200
        assert time.monotonic() - began < 1


def test_a_slow_request_is_told_so(impatient: Door) -> None:
    """A request that is not complete in time gets 408, however steadily its bytes come."""
    with closing(impatient.connect()) as client:
        client.sendall(BEGUN)
        done = threading.Event()
        dripping = threading.Thread(target=_drip, args=([client], done))
        dripping.start()
        try:
            began = time.monotonic()
            assert until_closed(client).startswith(b"HTTP/1.1 408 Request Timeout\r\n")
            assert 0.4 < time.monotonic() - began < 2
        finally:
            done.set()
            dripping.join()


def test_a_stop_while_a_refusal_lingers() -> None:
    """A server that has just refused somebody still stops in order."""
    with door() as site, closing(site.connect()) as client:
        client.sendall(b"nonsense\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 400 ")
        began = time.monotonic()
        site.stop()
        assert time.monotonic() - began < 2


def test_who_says_nothing_is_closed(impatient: Door) -> None:
    """A connection without a byte is closed, without an answer to what was not asked."""
    with closing(impatient.connect()) as client:
        assert until_closed(client) == b""


def test_who_does_not_take_his_answer_is_closed(impatient: Door) -> None:
    """An answer that is not read does not stay in memory."""
    with closing(impatient.connect()) as client:
        client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(1.5)
        assert len(until_closed(client)) < LARGE


def test_patience_begins_anew_with_each_request(impatient: Door) -> None:
    """A connection that is kept between two scrapes is kept for longer than a request may take."""
    with closing(HTTPConnection(impatient.host, timeout=5)) as client:
        client.connect()
        client.auto_open = False
        for _ in range(2):
            client.request("GET", "/")
            assert client.getresponse().read() == b"False "
            time.sleep(1)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400 Bad Request"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400 Bad Request"),
        (b"GET /\r\n\r\n", b"400 Bad Request"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"505 "),
        (b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n" % (b"x" * 9000), b"414 "),
        (b"GET /%b" % (b"x" * 40_000), b"414 "),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: %b\r\n\r\n" % (b"x" * 17_000), b"431 "),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 10_000, b"431 "),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", b"413 "),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n{}", b"413 "),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", b"413 "),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nlies\r\n", b"4"),
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n",
            b"413 ",
        ),
    ],
)
def test_what_cannot_be_served_is_told_why(site: Door, request_: bytes, status: bytes) -> None:
    """Too much, and what is not HTTP, is answered with what is wrong; then it is over."""
    answer = site.ask(request_)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"connection: close" in answer.lower()
    assert requests.get(f"http://{site.host}/", timeout=5).status_code == 200


def test_an_upload_sees_the_refusal(site: Door) -> None:
    """A client that sends all of a body before it listens is not reset before it has heard."""
    with closing(site.connect()) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 600000\r\n\r\n")
        for _ in range(6):
            time.sleep(0.02)
            client.sendall(b"x" * 100_000)
        assert until_closed(client).startswith(b"HTTP/1.1 413 ")


def test_probes_on_demand_are_limited_by_address(site: Door) -> None:
    """Somebody who asks for one probe after the other is told when to come back."""
    with requests.Session() as session:
        answers = [session.get(f"http://{site.host}/probe", timeout=5) for _ in range(150)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert 20 < len(refused) < 51
        assert refused[0].headers["Retry-After"] == "1"
        assert session.get(f"http://{site.host}/", timeout=5).status_code == 200


def test_waiting_for_probes_leaves_room(site: Door) -> None:
    """Clients that wait for a probe that hangs cannot take all connections."""
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(site.connect())) for _ in range(300)]
        for client in clients:
            client.sendall(b"GET /probe?wait HTTP/1.1\r\nHost: x\r\n\r\n")
        began = time.monotonic()
        assert requests.get(f"http://{site.host}/", timeout=5).status_code == 200
        assert time.monotonic() - began < 1


def test_a_stop_does_not_wait_for_probes(caplog: pytest.LogCaptureFixture) -> None:
    """Who waits for a probe that hangs is told that the daemon stops, and the log has no error."""
    with ExitStack() as stack, door() as site:
        clients = [stack.enter_context(closing(site.connect())) for _ in range(5)]
        for client in clients:
            client.sendall(b"GET /probe?wait HTTP/1.1\r\nHost: x\r\n\r\n")
        assert requests.get(f"http://{site.host}/", timeout=5).status_code == 200
        site.stop()
        for client in clients:
            answer = until_closed(client)
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert answer.endswith(b"stopping\n")
    assert not caplog.records


def test_a_bucket_fills_again() -> None:
    """It says how long to wait, and to have waited so long is enough."""
    now = 0.0
    buckets = RateLimiter(size=2, per_second=0.25, now=lambda: now)
    assert [buckets.take("192.0.2.1") for _ in range(3)] == [0, 0, 4]
    assert buckets.take("192.0.2.2") == 0
    now = 4.0
    assert [buckets.take("192.0.2.1") for _ in range(2)] == [0, 4]
    buckets.give_back("192.0.2.1")
    assert buckets.take("192.0.2.1") == 0


def test_addresses_of_one_client_share_a_bucket() -> None:
    """A client has many addresses of IPv6, and one of IPv4, however it is written."""
    buckets = RateLimiter(size=1, per_second=1, now=lambda: 0.0)
    assert [buckets.take(f"2001:db8::{n}") for n in (1, 2)] == [0, 1]
    assert [buckets.take(address) for address in ("192.0.2.1", "::ffff:192.0.2.1")] == [0, 1]
    assert [buckets.take(f"2001:db8:{n}::1") for n in (1, 2)] == [0, 0]


def test_strangers_do_not_fill_the_memory() -> None:
    """Of many addresses those not seen for longest are forgotten."""
    buckets = RateLimiter(size=1, per_second=1, now=lambda: 0.0)
    for n in range(MAX_CLIENTS + 1):
        buckets.take(f"{n}")
    assert (buckets.take("0"), buckets.take(f"{MAX_CLIENTS}")) == (0, 1)


ENDPOINTS = (
    "/",
    "/probes/model",
    "/api/v1/probes",
    "/api/v1/probes/model/results",
    "/metrics",
    "/probe?name=model",
    "/static/page.css",
    "/-/healthy",
    "/-/ready",
)
ACTIONS = ("/-/reload", "/-/pause", "/-/resume")


@pytest.fixture(scope="module")
def daemon() -> Iterator[str]:
    with running("--url=http://127.0.0.1:9/", "--name=model") as process:
        yield process.url


def assert_not_allowed(method: str, url: str, allowed: set[str]) -> None:
    answer = requests.request(method, url, timeout=10)
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == allowed
    if method != "HEAD":
        assert " and ".join(sorted(allowed)) + " are allowed here" in answer.text


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "NONE"])
def test_wrong_methods(daemon: str, path: str, method: str) -> None:
    """What is only to be looked at says so, and what can be done instead."""
    assert_not_allowed(method, daemon + path, {"GET", "HEAD"})


@pytest.mark.parametrize("path", ACTIONS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "PATCH", "OPTIONS", "TRACE", "NONE"])
def test_wrong_methods_of_actions(daemon: str, path: str, method: str) -> None:
    """What is only to be done says so, too, whether it is enabled or not."""
    assert_not_allowed(method, daemon + path, {"POST", "PUT"})


@pytest.mark.parametrize("path", ENDPOINTS)
def test_head(daemon: str, path: str) -> None:
    """HEAD is GET without the body."""
    answer = requests.head(daemon + path, timeout=10)
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/metrics/",
        "/probes",
        "/api/v1/probes/",
        "/static",
        "/static/..%2fapp.py",
        "/static/%00",
        "//",
        "//evil.example/metrics",
        "/%00",
        "/%ff",
        "/../etc/passwd",
    ],
)
def test_names_that_are_not_there(daemon: str, path: str) -> None:
    """Where there is nothing the answer is what there is, never a redirect to whoever was named."""
    headers = {"Host": "evil.example"}
    answer = requests.get(daemon + path, headers=headers, timeout=10, allow_redirects=False)
    assert answer.status_code == 404
    assert "there are /, /metrics, /probe?name=NAME and /api/v1/probes" in answer.text


@pytest.mark.parametrize("path", [*ENDPOINTS, *ACTIONS])
def test_sizes(daemon: str, path: str) -> None:
    """No endpoint takes long URLs, large headers or bodies."""
    more = "&" if "?" in path else "?"
    url = daemon + path
    assert requests.get(f"{url}{more}{'x' * 9000}", timeout=10).status_code == 414
    assert requests.get(url, headers={"A": "x" * 17_000}, timeout=10).status_code == 431
    assert requests.get(url, data="{}", timeout=10).status_code == 413


def test_out_of_descriptors() -> None:
    """Without descriptors there is one line in the log, not a flood, and it passes."""
    with running("--url=http://127.0.0.1:9/", "--interval=1h") as process:
        assert process.get("/-/ready").ok  # it has all that it needs
        time.sleep(0.5)
        pid = process.process.pid
        port = int(process.url.rpartition(":")[2])
        taken = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (taken, hard))
        with closing(socket.create_connection(("127.0.0.1", port))) as client:
            time.sleep(1)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (taken + 20, hard))
            client.settimeout(5)
            client.sendall(b"GET /-/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert b" 200 OK" in until_closed(client)
        process.terminate()
        said = process.log()
    assert said.count("cannot accept connections") == 1
    assert "Traceback" not in said
