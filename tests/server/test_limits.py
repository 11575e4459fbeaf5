"""Limits for clients: slow or greedy ones must not keep others from being served."""

import asyncio
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
from starlette.types import Message, Receive, Scope, Send

from probe.server.limits import Limits, client_key
from tests.commands import running
from tests.server.http_server_fixture import HttpServer, http_server, read_until_closed

pytestmark = pytest.mark.timing

INCOMPLETE_HEAD = b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "


@pytest.fixture
def site() -> Iterator[HttpServer]:
    with http_server() as server:
        yield server


@pytest.fixture(scope="module")
def shared_site() -> Iterator[HttpServer]:
    """Return a server for tests that leave no connection behind."""
    with http_server() as server:
        yield server


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpServer]:
    """Return a server whose timeouts are 0.2 s."""
    monkeypatch.setattr("probe.server.connection_protocol.REQUEST_TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr("probe.server.connection_transport.WRITE_TIMEOUT_SECONDS", 0.2)
    with http_server() as server:
        yield server


def _drip(clients: list[socket.socket], done: threading.Event, seconds: float) -> None:
    """Send a byte from each client every `seconds`."""
    while not done.wait(seconds):
        for client in clients:
            with suppress(OSError):  # evicted
                client.send(b"x")


def test_slow_clients_do_not_delay_others(site: HttpServer) -> None:
    """With 300 connections that send a byte now and then, a request takes less than a second."""
    done = threading.Event()
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(site.connect())) for _ in range(300)]
        for client in clients:
            with suppress(ConnectionError):  # evicted
                client.sendall(INCOMPLETE_HEAD)
        dripping = threading.Thread(target=_drip, args=(clients, done, 0.5))
        dripping.start()
        try:
            for _ in range(5):
                start = time.monotonic()
                assert requests.get(f"http://{site.host}/", timeout=5).status_code == 200
                assert time.monotonic() - start < 1
                time.sleep(0.2)
        finally:
            done.set()
            dripping.join()


def test_clients_that_do_not_read_do_not_delay_others(site: HttpServer) -> None:
    """With 260 clients that send requests and do not read, requests of others are served."""
    with ExitStack() as stack:
        for _ in range(260):
            client = stack.enter_context(closing(site.connect()))
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        assert requests.get(f"http://{site.host}/", timeout=5).status_code == 200
        start = time.monotonic()
        assert requests.get(f"http://{site.host}/", timeout=5).status_code == 200
        assert time.monotonic() - start < 1


def test_a_slow_request_times_out(impatient: HttpServer) -> None:
    """A request that is not complete in time gets 408, however steadily its bytes arrive."""
    with closing(impatient.connect()) as client:
        client.sendall(INCOMPLETE_HEAD)
        done = threading.Event()
        dripping = threading.Thread(target=_drip, args=([client], done, 0.05))
        dripping.start()
        try:
            start = time.monotonic()
            response = read_until_closed(client)
            assert response.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
            assert 0.15 < time.monotonic() - start < 2
        finally:
            done.set()
            dripping.join()


def test_stop_does_not_wait_for_a_rejected_client() -> None:
    """A server that has just rejected a request stops in order."""
    with http_server() as site, closing(site.connect()) as client:
        client.sendall(b"nonsense\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 400 ")
        start = time.monotonic()
        site.stop()
        assert time.monotonic() - start < 2


def test_a_silent_connection_is_closed(impatient: HttpServer) -> None:
    """A connection without a byte is closed without a response."""
    with closing(impatient.connect()) as client:
        assert read_until_closed(client) == b""


def test_a_client_that_does_not_read_is_closed(impatient: HttpServer) -> None:
    """A response that is not read does not stay in memory."""
    with closing(impatient.connect()) as client:
        client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(1)
        with pytest.raises(ConnectionResetError):
            read_until_closed(client)


def test_each_request_has_its_own_timeout(impatient: HttpServer) -> None:
    """Between two scrapes a connection stays open for longer than a request may take."""
    with closing(HTTPConnection(impatient.host, timeout=5)) as client:
        client.connect()
        client.auto_open = False
        for _ in range(2):
            client.request("GET", "/")
            assert client.getresponse().read() == b"False "
            time.sleep(0.5)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400 Bad Request"),
        (b"\x16\x03\x01\x02\x00\x01\x00", b"400 Bad Request"),
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
def test_invalid_requests_are_rejected(
    shared_site: HttpServer, request_: bytes, status: bytes
) -> None:
    """Oversized requests and invalid HTTP get an error response; then the server closes."""
    response = shared_site.exchange(request_)
    assert response.startswith(b"HTTP/1.1 " + status)
    assert b"connection: close" in response.lower()
    assert requests.get(f"http://{shared_site.host}/", timeout=5).status_code == 200


def test_an_upload_sees_the_rejection(site: HttpServer) -> None:
    """A client that sends its whole body before it reads gets the response, not a reset."""
    with closing(site.connect()) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 600000\r\n\r\n")
        for _ in range(6):
            time.sleep(0.02)
            client.sendall(b"x" * 100_000)
        assert read_until_closed(client).startswith(b"HTTP/1.1 413 ")


def test_on_demand_probes_are_rate_limited(site: HttpServer) -> None:
    """A client that requests `/probe` continuously gets 429 and the time to wait."""
    with requests.Session() as session:
        responses = [session.get(f"http://{site.host}/probe", timeout=5) for _ in range(150)]
        rejected = [response for response in responses if response.status_code == 429]
        assert 20 < len(rejected) < 51
        assert rejected[0].headers["Retry-After"] == "1"
        assert session.get(f"http://{site.host}/", timeout=5).status_code == 200


def test_pending_probes_leave_connections_for_others(site: HttpServer) -> None:
    """Clients that wait for a hanging probe cannot take all connections."""
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(site.connect())) for _ in range(300)]
        for client in clients:
            with suppress(ConnectionError):  # evicted
                client.sendall(b"GET /probe?wait HTTP/1.1\r\nHost: x\r\n\r\n")
        start = time.monotonic()
        assert requests.get(f"http://{site.host}/", timeout=5).status_code == 200
        assert time.monotonic() - start < 1


def test_stop_does_not_wait_for_probes(caplog: pytest.LogCaptureFixture) -> None:
    """Clients that wait for a hanging probe get 503, and nothing is logged as an error."""
    with ExitStack() as stack, http_server() as site:
        clients = [stack.enter_context(closing(site.connect())) for _ in range(5)]
        for client in clients:
            client.sendall(b"GET /probe?wait HTTP/1.1\r\nHost: x\r\n\r\n")
        assert requests.get(f"http://{site.host}/", timeout=5).status_code == 200
        site.stop()
        for client in clients:
            response = read_until_closed(client)
            assert response.startswith(b"HTTP/1.1 503 ")
            assert response.endswith(b"stopping\n")
    assert not caplog.records


def test_a_second_close() -> None:
    """It has no effect while a request that the first one ends is still in progress."""
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": "/probe",
        "raw_path": b"/probe",
        "query_string": b"",
        "headers": [],
        "client": ("192.0.2.1", 1),
    }
    statuses = []

    async def send(message: Message) -> None:
        statuses.append(message.get("status"))

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def scenario() -> None:
        started, ending, go = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
            try:
                started.set()
                await asyncio.sleep(60)
            finally:
                ending.set()
                await go.wait()

        limits = Limits(app, time.monotonic)
        request = asyncio.create_task(limits(scope, receive, send))
        await started.wait()
        limits.close()
        await ending.wait()
        limits.close()
        go.set()
        await request

    asyncio.run(asyncio.wait_for(scenario(), 10))
    assert statuses[0] == 503


def test_addresses_of_one_client_have_one_key() -> None:
    """A client has a /64 of IPv6 addresses, and one IPv4 address in two notations."""

    def key(address: str) -> str:
        return client_key({"client": (address, 1234)})

    assert key("2001:db8::1") == key("2001:db8::2")
    assert key("192.0.2.1") == key("::ffff:192.0.2.1")
    assert key("2001:db8:1::1") != key("2001:db8:2::1")
    assert key("192.0.2.1") != key("192.0.2.2")


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


def assert_not_allowed(session: requests.Session, method: str, url: str, allowed: str) -> None:
    response = session.request(method, url, timeout=10)
    assert response.status_code == 405, (method, url)
    assert set(response.headers["Allow"].split(", ")) == set(allowed.split(" and "))
    if method != "HEAD":
        assert f"{allowed} are allowed here" in response.text


@pytest.mark.parametrize("path", ENDPOINTS)
def test_methods_of_pages(daemon: str, path: str) -> None:
    """Only GET and HEAD are allowed; the error lists them."""
    with requests.Session() as session:
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "NONE"):
            assert_not_allowed(session, method, daemon + path, "GET and HEAD")


@pytest.mark.parametrize("path", ACTIONS)
def test_methods_of_actions(daemon: str, path: str) -> None:
    """Only POST and PUT are allowed, even if actions are not enabled; the error lists them."""
    with requests.Session() as session:
        for method in ("GET", "HEAD", "DELETE", "PATCH", "OPTIONS", "TRACE", "NONE"):
            assert_not_allowed(session, method, daemon + path, "POST and PUT")


@pytest.mark.parametrize("path", ENDPOINTS)
def test_head(daemon: str, path: str) -> None:
    """HEAD is GET without the body."""
    response = requests.head(daemon + path, timeout=10)
    assert (response.status_code, response.content) == (200, b"")


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
def test_unknown_paths(daemon: str, path: str) -> None:
    """The response lists the known paths, and never redirects to the host that was named."""
    headers = {"Host": "evil.example"}
    response = requests.get(daemon + path, headers=headers, timeout=10, allow_redirects=False)
    assert response.status_code == 404
    assert "there are /, /metrics, /probe?name=NAME, /api/v1/probes, /-/healthy" in response.text


@pytest.mark.parametrize("path", [*ENDPOINTS, *ACTIONS])
def test_sizes(daemon: str, path: str) -> None:
    """No endpoint accepts long URLs, large headers or bodies."""
    separator = "&" if "?" in path else "?"
    url = daemon + path
    assert requests.get(f"{url}{separator}{'x' * 9000}", timeout=10).status_code == 414
    assert requests.get(url, headers={"A": "x" * 17_000}, timeout=10).status_code == 431
    assert requests.get(url, data="{}", timeout=10).status_code == 413


def test_out_of_file_descriptors() -> None:
    """Without file descriptors one line is logged, and a waiting client is served later."""
    with running("--url=http://127.0.0.1:9/", "--interval=1h") as process:
        assert process.get("/-/ready").ok  # so that everything needed is open
        time.sleep(0.5)
        pid = process.process.pid
        port = int(process.url.rpartition(":")[2])
        used = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used, hard))
        with closing(socket.create_connection(("127.0.0.1", port))) as client:
            time.sleep(1)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 20, hard))
            client.settimeout(5)
            client.sendall(b"GET /-/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert b" 200 OK" in read_until_closed(client)
        process.terminate()
        log = process.log()
    assert log.count("cannot accept connections") == 1
    assert "Traceback" not in log
