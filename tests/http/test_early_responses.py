"""Responses before the request: none is taken for the response to it."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from probe.clock import Clock
from probe.http import timed_socket
from probe.http.client import ResponseStream
from probe.http.connection import Connection
from probe.http.errors import EarlyResponse, NotHttp, ResponseError
from probe.http.pool import ConnectionPool
from probe.http.response_reader import MAX_RESPONSE_HEADER_BYTES
from probe.http.stopwatch import Stopwatch
from probe.http.timed_socket import TimedSocket
from probe.result import Phase, Reason
from tests.http.conftest import Authority, Serve
from tests.probing import detail, make_prober, reason, run, run_scheduled
from tests.raw_servers import (
    Peer,
    Script,
    delayed,
    http_response,
    respond_with_handshake,
    two_responses,
)

pytestmark = pytest.mark.timing

SERVER_SECONDS = 0.1

BANNER = b"SSH-2.0-OpenSSH_9.6\r\n"

# More than the buffers of both sockets can hold.
BODY_BYTES = 6_000_000

TLS = pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])


one_too_many = two_responses(
    http_response(), http_response(b"surplus"), delay_seconds=SERVER_SECONDS
)


def surplus_between_probes(peer: Peer) -> None:
    """Send another response some time after the response."""
    while peer.request():
        peer.pause(SERVER_SECONDS)
        peer.send(http_response())
        peer.pause(0.02)
        peer.send(http_response(b"surplus"))


@TLS
@pytest.mark.parametrize(
    "script", [one_too_many, surplus_between_probes], ids=["same segment", "between the probes"]
)
def test_a_surplus_response_is_never_the_next_one(
    serve: Serve, authority: Authority, pool: ConnectionPool, script: Script, tls: bool
) -> None:
    """Each run reports the latency of the response to its request; no connection is reused."""
    server = serve(script, context=authority.context() if tls else None)
    prober = make_prober(
        server.url(), pool=pool, tls=authority.tls, expect={"body_matches": "^ok$"}
    )

    for _ in range(3):
        result = run_scheduled(prober)
        assert reason(result) is None
        assert result.latency > SERVER_SECONDS
        time.sleep(0.05)
    assert server.connections == 3


def test_unread_decrypted_data_is_found(
    serve: Serve, authority: Authority, pool: ConnectionPool
) -> None:
    """The surplus is in the same TLS record as the last byte of the largest permitted headers."""
    first = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
    padding = MAX_RESPONSE_HEADER_BYTES - len(first) - len(b"\r\n")
    lines = [b"X-A: %s\r\n" % (b"x" * (padding // 8 - 7)) for _ in range(7)]
    lines.append(b"X-A: %s\r\n" % (b"x" * (padding - sum(map(len, lines)) - 7)))
    head = first + b"".join(lines) + b"\r\n"
    assert len(head) == MAX_RESPONSE_HEADER_BYTES

    def script(peer: Peer) -> None:
        while peer.request():
            peer.send(head[:100])  # one TLS record, so that no record ends with the headers
            peer.send(head[100:] + http_response(b"surplus"))

    server = serve(script, context=authority.context())
    prober = make_prober(server.url(), pool=pool, tls=authority.tls)

    assert [reason(run_scheduled(prober)) for _ in range(2)] == [None, None]
    assert server.connections == 2


@pytest.fixture
def receive_stamps() -> None:
    """Enable the kernel's stamps. Without them, the time of a response is that of its read."""
    if not timed_socket.HAS_KERNEL_TIMESTAMPS:
        pytest.skip("needs the kernel's timestamps: Linux")
    timed_socket._keep_receive_stamps_enabled()
    time.sleep(0.05)


@contextmanager
def connected(respond_early: bytes) -> Iterator[tuple[Connection, socket.socket]]:
    """Connect to a server that has sent `respond_early` at once. Yield both ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener, TimedSocket() as sock:
        sock.stopwatch = Stopwatch(Clock(), 5)
        sock.connect_within(listener.getsockname(), 1)
        server, _ = listener.accept()
        with server:
            server.sendall(respond_early)
            time.sleep(0.02)
            yield Connection(sock, sock), server


def send_request(connection: Connection, pieces: list[bytes]) -> ResponseStream:
    """Send a request and read the head of its response."""
    stream = ResponseStream(urlsplit("http://model/"), connection, None)
    stream.send_request(pieces, "GET")
    return stream


def test_a_response_before_the_request_is_an_error() -> None:
    """Also on a new connection. The request is not sent."""
    with connected(http_response()) as (connection, server):
        with pytest.raises(EarlyResponse, match="sent a response before the request"):
            send_request(connection, [b"GET / HTTP/1.1\r\n\r\n"])
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.recv(1)


@pytest.mark.parametrize(
    ("data", "error_type", "message"),
    [
        (BANNER, NotHttp, "^SSH-2.0-OpenSSH_9.6$"),
        (b"220 mail", NotHttp, "^220 mail$"),
        (b"\r\n", NotHttp, "^an empty line$"),
        (b"HT", EarlyResponse, "before the request"),
    ],
)
def test_the_first_line_of_another_protocol_is_shown(
    data: bytes, error_type: type[ResponseError], message: str
) -> None:
    """The server sends it before the request. It shows that the port is wrong."""
    with connected(data) as (connection, _), pytest.raises(error_type, match=message):
        send_request(connection, [b"GET / HTTP/1.1\r\n\r\n"])


@pytest.mark.usefixtures("receive_stamps")
@pytest.mark.parametrize(
    ("data", "error_type"), [(http_response(), EarlyResponse), (BANNER, NotHttp)]
)
def test_a_response_during_the_last_check_is_an_error(
    data: bytes, error_type: type[ResponseError], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It arrives after the check for unread data and before the request: the stamps tell."""
    with connected(b"") as (connection, server):

        def arrives_after_the_check(_: Connection) -> None:
            server.sendall(data)
            time.sleep(0.02)

        monkeypatch.setattr(Connection, "require_no_response", arrives_after_the_check)
        with pytest.raises(error_type):
            send_request(connection, [b"GET / HTTP/1.1\r\n\r\n"])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (http_response(), "the server sent a response before the request"),
        (BANNER, "invalid HTTP response: SSH-2.0-OpenSSH_ (while sending the request)"),
    ],
)
def test_a_tls_response_before_the_request_is_protocol(
    data: bytes, message: str, serve: Serve, authority: Authority
) -> None:
    """It comes with the last bytes of the handshake."""
    server = serve(respond_with_handshake(authority.context(), data))

    result = run(server.url().replace("http", "https"), tls=authority.tls)

    assert reason(result) is Reason.PROTOCOL
    assert message in detail(result)


def test_session_tickets_are_no_response(
    serve: Serve, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TLS 1.3 servers send them before the first request; they have arrived when it is sent."""
    original = Connection.require_no_response
    received = []

    def wait_for_tickets(connection: Connection) -> None:
        time.sleep(0.05)
        received.append(connection.sock.has_input())
        original(connection)

    monkeypatch.setattr(Connection, "require_no_response", wait_for_tickets)
    server = serve(delayed(SERVER_SECONDS, http_response()), context=authority.context())

    result = run(server.url(), tls=authority.tls)

    assert reason(result) is None
    assert all(received)
    assert result.phases[Phase.WAIT] == pytest.approx(SERVER_SECONDS, abs=0.05)


@TLS
@pytest.mark.usefixtures("receive_stamps")
@pytest.mark.parametrize("status", ["408 Request Timeout", "413 Content Too Large", "400 Bad"])
def test_a_response_before_the_end_of_the_request_is_valid(
    serve: Serve, authority: Authority, pool: ConnectionPool, status: str, tls: bool
) -> None:
    """The server has read a part of the request. It may send another response, so no reuse.

    All time until the end of the request belongs to `send`.
    """

    def script(peer: Peer) -> None:
        while head := peer.connection.recv(1000):
            response = http_response(b"late", status=status)
            peer.send(response.removesuffix(b"late"))
            peer.pause(SERVER_SECONDS)
            received = len(head)
            while received < BODY_BYTES and (data := peer.connection.recv(1_000_000)):
                received += len(data)
            peer.send(b"late")
            peer.pause(0.02)
            peer.send(http_response(b"surplus"))

    server = serve(script, receive_buffer=4096, context=authority.context() if tls else None)
    prober = make_prober(
        server.url(), pool=pool, body="x" * BODY_BYTES, tls=authority.tls, timeout="5s"
    )

    for _ in range(2):
        started = time.perf_counter()
        result = run_scheduled(prober)
        elapsed = time.perf_counter() - started
        assert reason(result) is Reason.HTTP_4XX
        assert result.status == int(status[:3])
        assert result.phases[Phase.SEND] > SERVER_SECONDS
        assert result.latency <= elapsed  # no time counts twice
    assert server.connections == 2
