"""Connection pool: reuse, replacement of closed connections, limits, and expiry."""

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import pytest

from probe.clock import Clock
from probe.http.connection import Connection
from probe.http.pool import (
    IDLE_TIMEOUT_INTERVALS,
    IDLE_TIMEOUT_SECONDS,
    MAX_CHECKED,
    MAX_IDLE_PER_ORIGIN,
    MAX_ORIGINS,
    ConnectionPool,
)
from probe.http.stopwatch import Stopwatch
from probe.http.timed_socket import TimedSocket
from probe.result import Phase, Reason, Result
from tests.fakes import FakeTime
from tests.http.conftest import Authority, Serve
from tests.probing import make_prober, reason, run_scheduled
from tests.raw_servers import Peer, Server, always, delayed, http_response, once, two_responses

pytestmark = pytest.mark.timing

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
URL = urlsplit("http://model/")
OTHER_URL = urlsplit("http://model:8080/")
CLOSE_WAIT = "08"  # Linux, <net/tcp_states.h>


@pytest.mark.parametrize(
    "response",
    [http_response(), http_response(b""), CHUNKED],
    ids=["ok", "empty", "chunked"],
)
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_a_connection_is_reused(
    serve: Serve, authority: Authority, pool: ConnectionPool, response: bytes, tls: bool
) -> None:
    """Five runs use one connection."""
    server = serve(always(response), context=authority.context() if tls else None)
    prober = make_prober(server.url(), pool=pool, tls=authority.tls)

    assert [reason(run_scheduled(prober)) for _ in range(5)] == [None] * 5
    assert server.connections == 1
    assert len(server.requests) == 5


def test_without_a_pool_each_run_connects(serve: Serve) -> None:
    """With `connection: new`, the default, each run connects although the server would reuse."""
    server = serve(always(http_response()))
    prober = make_prober(server.url())

    assert [reason(run_scheduled(prober)) for _ in range(3)] == [None] * 3
    assert server.connections == 3


def test_a_run_on_demand_leaves_the_pool_alone(serve: Serve, pool: ConnectionPool) -> None:
    """A run that is not scheduled has its own connection, before and between scheduled runs.

    Otherwise the next scheduled run would have to connect, and its metrics would show it.
    """
    server = serve(always(http_response()))
    prober = make_prober(server.url(), pool=pool)

    on_demand = [prober.run()]
    first = run_scheduled(prober)
    on_demand += [prober.run()]
    second = run_scheduled(prober)

    assert all(Phase.CONNECT in result.phases for result in [*on_demand, first])
    assert Phase.CONNECT not in second.phases
    assert server.connections == 3


def test_a_run_on_demand_takes_no_connection_from_a_scheduled_run(
    serve: Serve, pool: ConnectionPool
) -> None:
    """A scheduled run reuses its connection while a run on demand is under way."""
    slow = threading.Event()

    def script(peer: Peer) -> None:
        while received := peer.request():
            if received.line.split()[1] == "/" and slow.is_set():
                peer.pause(0.1)
            peer.send(http_response())

    prober = make_prober(serve(script).url(), pool=pool)
    run_scheduled(prober)
    slow.set()
    on_demand = threading.Thread(target=prober.run)
    on_demand.start()
    time.sleep(0.05)
    result = run_scheduled(prober)
    on_demand.join()

    assert Phase.CONNECT not in result.phases


def test_a_probe_without_a_pool_closes_its_connection(serve: Serve) -> None:
    """The server sees the end of the connection, also if the assertions fail."""
    ended = threading.Event()

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(http_response())
        if peer.request() is None:
            ended.set()

    make_prober(serve(script).url(), expect={"body_matches": "never"}).run()

    assert ended.wait(2)


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_a_connection_that_the_server_closed_is_replaced(
    serve: Serve, authority: Authority, pool: ConnectionPool, tls: bool
) -> None:
    """The server's idle timeout is no failure; the new connection has its phases."""
    server = serve(once(http_response()), context=authority.context() if tls else None)
    prober = make_prober(server.url(), pool=pool, tls=authority.tls)

    for connections in range(1, 4):
        result = run_scheduled(prober)
        assert reason(result) is None
        assert Phase.CONNECT in result.phases
        time.sleep(0.1)  # the FIN of the server is quick on loopback
        assert server.connections == connections


@pytest.mark.parametrize("unexpected", [b"x", b"HTTP/1.1 408 Request Timeout\r\n\r\n"])
def test_a_connection_with_unexpected_data_is_replaced(
    serve: Serve, pool: ConnectionPool, unexpected: bytes
) -> None:
    """HAProxy sends 408 on an idle connection: it is not the response to the next request."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(http_response())
        peer.pause(0.05)
        peer.send(unexpected)
        peer.silence()

    server = serve(script)
    prober = make_prober(server.url(), pool=pool)

    assert reason(run_scheduled(prober)) is None
    time.sleep(0.15)
    assert reason(run_scheduled(prober)) is None
    assert server.connections == 2


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("unexpected", [b"x", http_response(b"second")])
def test_a_connection_with_data_after_the_response_is_replaced(
    serve: Serve, authority: Authority, pool: ConnectionPool, unexpected: bytes, tls: bool
) -> None:
    """Also if it came in the same segment: it is not the response to the next request."""
    script = two_responses(http_response(), unexpected, delay_seconds=0)
    server = serve(script, context=authority.context() if tls else None)
    prober = make_prober(server.url(), pool=pool, tls=authority.tls)

    assert [reason(run_scheduled(prober)) for _ in range(2)] == [None] * 2
    assert server.connections == 2


@pytest.mark.parametrize(
    "response",
    [
        http_response(b"ok", "Connection: close"),
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
)
def test_a_connection_that_the_server_will_close_is_not_kept(
    serve: Serve, pool: ConnectionPool, response: bytes
) -> None:
    """The header, or the version of HTTP, says so."""
    server = serve(always(response))
    prober = make_prober(server.url(), pool=pool)

    assert [reason(run_scheduled(prober)) for _ in range(2)] == [None, None]
    assert server.connections == 2


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok", Reason.BODY_TIMEOUT),
        (http_response(b"x" * 2000), Reason.TOO_LARGE),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nwhat\r\n", Reason.PROTOCOL),
    ],
)
def test_a_connection_with_an_incomplete_response_is_not_kept(
    serve: Serve, pool: ConnectionPool, response: bytes, expected: Reason
) -> None:
    """Its rest would be read as the response to the next request."""
    server = serve(always(response))
    prober = make_prober(server.url(), pool=pool, timeout="200ms", max_bytes="1000B")

    assert [reason(run_scheduled(prober)) for _ in range(2)] == [expected] * 2
    assert server.connections == 2


def test_a_failed_assertion_keeps_the_connection(serve: Serve, pool: ConnectionPool) -> None:
    """The response was read to its end."""
    server = serve(always(http_response(status="500 Oops")))
    prober = make_prober(server.url(), pool=pool)

    assert [reason(run_scheduled(prober)) for _ in range(3)] == [Reason.HTTP_5XX] * 3
    assert server.connections == 1


def run_in_threads(count: int, run: Callable[[], object]) -> None:
    """Call `run` at the same time on `count` threads."""
    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_runs_at_the_same_time_do_not_share_a_connection(
    serve: Serve, pool: ConnectionPool
) -> None:
    """Each run has its own; afterwards the pool keeps as many as were needed at once."""
    server = serve(delayed(0.2, http_response()))
    prober = make_prober(server.url(), pool=pool)
    results: list[Result] = []

    for _ in range(3):
        run_in_threads(4, lambda: results.append(run_scheduled(prober)))

    assert [reason(result) for result in results] == [None] * 12
    latencies = [result.latency for result in results]
    assert min(latencies) >= 0.2
    assert median(latencies) < 0.35
    assert server.connections == 4
    assert len(server.requests) == 12


def test_many_runs_at_the_same_time_get_their_own_responses(
    serve: Serve, pool: ConnectionPool
) -> None:
    """A connection is not given to a second run before the first has read its response."""
    server = serve(always(http_response(b"x" * 50_000)))
    prober = make_prober(server.url(), pool=pool, expect={"body_matches": "^x{50000}$"})
    results: list[Result] = []

    run_in_threads(4, lambda: results.extend(run_scheduled(prober) for _ in range(40)))

    assert {reason(result) for result in results} == {None}
    assert len(results) == 160
    assert server.connections <= 4


def test_a_reused_connection_has_the_deadline_of_its_run(
    serve: Serve, pool: ConnectionPool
) -> None:
    """The stopwatch of the run that opened the connection does not count for later runs."""
    server = serve(delayed(0.15, http_response()))
    prober = make_prober(server.url(), pool=pool, timeout="300ms")

    assert [reason(run_scheduled(prober)) for _ in range(4)] == [None] * 4
    assert server.connections == 1


def test_a_closed_pool_keeps_no_connection(serve: Serve, pool: ConnectionPool) -> None:
    """A run that is under way when its probe is changed or removed closes its connection."""
    ended = threading.Event()

    def script(peer: Peer) -> None:
        peer.request()
        pool.close()
        peer.send(http_response())
        if peer.request() is None:
            ended.set()

    assert reason(run_scheduled(make_prober(serve(script).url(), pool=pool))) is None

    assert ended.wait(5)


def close_wait(server: Server) -> int:
    """Return how many connections to `server` it has closed and the client has not."""
    suffix = f":{server.port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(remote.endswith(suffix) and state == CLOSE_WAIT for _, _, remote, state, *_ in rows)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/net/tcp")
def test_a_burst_leaves_no_closed_connections(serve: Serve, pool: ConnectionPool) -> None:
    """After a burst of overlapping runs, one connection is used for all later ones.

    The server closes the others when they are idle. They do not stay in CLOSE_WAIT.
    """
    burst = 8
    all_sent = threading.Barrier(burst)

    def script(peer: Peer) -> None:
        peer.request()
        all_sent.wait(5)
        peer.send(http_response())
        peer.connection.settimeout(0.15)  # the idle timeout of the server
        while peer.request():
            peer.send(http_response())

    server = serve(script)
    prober = make_prober(server.url(), pool=pool)
    run_in_threads(burst, lambda: run_scheduled(prober))

    for _ in range(8):
        time.sleep(0.04)
        assert reason(run_scheduled(prober)) is None

    assert server.connections == burst
    assert close_wait(server) == 0


Connect = Callable[[], Connection]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Open connections, and close them at the end of the test."""
    with ExitStack() as stack:

        def open_connection() -> Connection:
            client, _ = map(stack.enter_context, socket.socketpair())
            sock = stack.enter_context(TimedSocket(fileno=client.detach()))
            sock.setblocking(False)
            return Connection(sock, sock)

        yield open_connection


def is_closed(connection: Connection) -> bool:
    return connection.sock.fileno() == -1


def stopwatch() -> Stopwatch:
    return Stopwatch(Clock(), 5)


def test_the_most_recently_used_connection_is_acquired(
    pool: ConnectionPool, connect: Connect
) -> None:
    """The others can expire."""
    older, newer = connect(), connect()
    pool.release(URL, older)
    pool.release(URL, newer)

    assert pool.acquire(URL, stopwatch()) is newer
    assert pool.acquire(URL, stopwatch()) is older
    assert pool.acquire(URL, stopwatch()) is None


def test_idle_connections_of_an_origin_are_limited(pool: ConnectionPool, connect: Connect) -> None:
    """The least recently used ones are closed, of the configured origin and of others."""
    pool.acquire(URL, stopwatch())
    for url in (URL, OTHER_URL):
        connections = [connect() for _ in range(MAX_IDLE_PER_ORIGIN + 2)]
        for connection in connections:
            pool.release(url, connection)

        expected = [True] * 2 + [False] * MAX_IDLE_PER_ORIGIN
        assert [is_closed(connection) for connection in connections] == expected


def test_a_larger_limit_of_idle_connections(connect: Connect) -> None:
    """A load test reuses as many connections as were in flight at a time."""
    pool = ConnectionPool(Clock(), max_idle_per_origin=3 * MAX_CHECKED)
    connections = [connect() for _ in range(3 * MAX_CHECKED + 1)]
    for connection in connections:
        pool.release(URL, connection)

    assert [is_closed(connection) for connection in connections[:2]] == [True, False]
    acquired = [pool.acquire(URL, stopwatch()) for _ in range(3 * MAX_CHECKED + 1)]
    assert acquired == [*reversed(connections[1:]), None]


def test_a_connection_that_no_use_has_checked_is_checked_when_it_is_acquired(
    connect: Connect,
) -> None:
    """Among many, it is not one of those that have been idle for longest."""
    pool = ConnectionPool(Clock(), max_idle_per_origin=3 * MAX_CHECKED)
    connections = [connect() for _ in range(2 * MAX_CHECKED)]
    for connection in connections:
        pool.release(URL, connection)
    connections[-1].sock.shutdown(socket.SHUT_RD)

    assert pool.acquire(URL, stopwatch()) is connections[-2]
    assert is_closed(connections[-1])


def test_idle_connections_expire(connect: Connect) -> None:
    """At the next use of the pool, also for another origin."""
    time = FakeTime()
    pool = ConnectionPool(time.clock())
    expired, kept = connect(), connect()
    pool.release(URL, expired)
    time.advance(1)
    pool.release(URL, kept)
    time.advance(IDLE_TIMEOUT_SECONDS - 0.5)

    assert pool.acquire(OTHER_URL, stopwatch()) is None
    assert is_closed(expired)
    assert pool.acquire(URL, stopwatch()) is kept


def test_idle_connections_of_a_rare_probe_last_for_its_interval(connect: Connect) -> None:
    """Otherwise a probe with a long interval would never reuse a connection."""
    time = FakeTime()
    pool = ConnectionPool(time.clock(), interval=3600)
    connection = connect()
    pool.release(URL, connection)

    time.advance(3600 + 5)  # the next run, late
    assert pool.acquire(URL, stopwatch()) is connection

    pool.release(URL, connection)
    time.advance(IDLE_TIMEOUT_INTERVALS * 3600 + 1)
    assert pool.acquire(URL, stopwatch()) is None
    assert is_closed(connection)


@pytest.mark.parametrize("release", [False, True], ids=["acquire", "release"])
def test_connections_that_the_server_closed_are_closed_at_the_next_use(
    pool: ConnectionPool, connect: Connect, release: bool
) -> None:
    """No run needs to want them."""
    connection = connect()
    pool.release(URL, connection)
    connection.sock.shutdown(socket.SHUT_RD)  # reads as the end of the stream

    if release:
        pool.release(OTHER_URL, connect())
    else:
        pool.acquire(OTHER_URL, stopwatch())

    assert is_closed(connection)


def test_the_configured_origin_is_not_evicted(pool: ConnectionPool, connect: Connect) -> None:
    """A run with many redirects closes connections to the least recently used redirect targets."""
    configured = connect()
    targets = [urlsplit(f"http://model:{port}/") for port in range(8000, 8000 + MAX_ORIGINS + 1)]
    connections = [connect() for _ in targets]
    pool.acquire(URL, stopwatch())
    pool.release(URL, configured)
    for target, connection in zip(targets, connections, strict=True):
        pool.acquire(target, stopwatch(), redirected=True)
        pool.release(target, connection)

    assert not is_closed(configured)
    closed = [is_closed(connection) for connection in connections]
    assert closed == [True] * 2 + [False] * (MAX_ORIGINS - 1)
    assert pool.acquire(URL, stopwatch()) is configured


def test_no_connection_is_lost_between_threads(pool: ConnectionPool, connect: Connect) -> None:
    """Each connection is in the pool or closed, whatever other threads do meanwhile."""
    urls = [urlsplit(f"http://model:{port}/") for port in range(8000, 8000 + 2 * MAX_ORIGINS)]
    connections = [connect() for _ in range(400)]
    remaining = list(connections)

    def use_pool() -> None:
        for number in range(100):
            connection = remaining.pop()
            url = urls[number % len(urls)]
            pool.release(url, connection)
            acquired = pool.acquire(url, stopwatch(), redirected=True)
            if acquired:
                pool.release(url, acquired)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        run_in_threads(4, use_pool)
    finally:
        sys.setswitchinterval(interval)
    pool.close()

    assert all(map(is_closed, connections))
