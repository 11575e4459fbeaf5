"""Kept connections: used again, replaced when they have gone, never shared by two runs."""

import threading
from statistics import median

import pytest

from probe.http.pool import ConnectionPool
from probe.result import Phase, Reason, Result
from tests.http.conftest import Authority, Serve
from tests.probing import make_prober, reason
from tests.raw_servers import Peer, Server, always, delayed, http_response, once

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "reply", [http_response(), http_response(b""), CHUNKED], ids=["ok", "empty", "chunked"]
)
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_a_connection_is_used_again(
    serve: Serve, authority: Authority, pool: ConnectionPool, reply: bytes, tls: bool
) -> None:
    """Five runs, one connection."""
    server = serve(always(reply), context=authority.context() if tls else None)
    prober = make_prober(server.url(), pool=pool, tls=authority.tls)

    assert [reason(prober.run()) for _ in range(5)] == [None] * 5
    assert server.connections == 1
    assert len(server.requests) == 5


def test_without_a_pool_each_run_connects(serve: Serve) -> None:
    """`connection: new` is the default, also where the server would keep it."""
    server = serve(always(http_response()))
    prober = make_prober(server.url())

    assert [reason(prober.run()) for _ in range(3)] == [None] * 3
    assert server.connections == 3


def test_a_probe_without_pool_closes_its_connection(serve: Serve) -> None:
    """The server sees the end of it, whatever the verdict."""
    ended = threading.Event()

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(http_response())
        if peer.request() is None:
            ended.set()

    make_prober(serve(script).url(), expect={"body_matches": "never"}).run()

    assert ended.wait(2)


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_a_connection_that_the_server_has_closed_is_replaced(
    serve: Serve, authority: Authority, pool: ConnectionPool, tls: bool
) -> None:
    """An idle timeout of the server is no failure; the new connection has its phases."""
    server = serve(once(http_response()), context=authority.context() if tls else None)
    prober = make_prober(server.url(), pool=pool, tls=authority.tls)

    for run in range(1, 4):
        result = prober.run()
        assert reason(result) is None
        assert Phase.CONNECT in result.phases
        closed(server, run)
    assert server.connections == 3


def closed(server: Server, connections: int) -> None:
    """Wait until the server has ended so many connections; its FIN is quick on loopback."""
    threading.Event().wait(0.1)
    assert server.connections == connections


@pytest.mark.parametrize("goodbye", [b"", b"HTTP/1.1 408 Request Timeout\r\n\r\n"])
def test_a_connection_with_words_that_nobody_asked_for_is_replaced(
    serve: Serve, pool: ConnectionPool, goodbye: bytes
) -> None:
    """HAProxy says 408 to an idle connection: it is not the answer to the next request."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(http_response())
        peer.pause(0.05)
        peer.send(goodbye or b"x")
        peer.silence()

    server = serve(script)
    prober = make_prober(server.url(), pool=pool)

    assert reason(prober.run()) is None
    threading.Event().wait(0.15)
    assert reason(prober.run()) is None
    assert server.connections == 2


@pytest.mark.parametrize(
    "reply",
    [
        http_response(b"ok", "Connection: close"),
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
)
def test_a_connection_that_the_server_will_close_is_not_kept(
    serve: Serve, pool: ConnectionPool, reply: bytes
) -> None:
    """It says so, and is taken at its word."""
    server = serve(always(reply))
    prober = make_prober(server.url(), pool=pool)

    assert [reason(prober.run()) for _ in range(2)] == [None, None]
    assert server.connections == 2


@pytest.mark.parametrize(
    ("reply", "wanted"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok", Reason.BODY_TIMEOUT),
        (http_response(b"x" * 2000), Reason.TOO_LARGE),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nwhat\r\n", Reason.PROTOCOL),
    ],
)
def test_a_broken_exchange_is_not_kept(
    serve: Serve, pool: ConnectionPool, reply: bytes, wanted: Reason
) -> None:
    """Half of its answer would be the beginning of the next one."""
    server = serve(always(reply))
    prober = make_prober(server.url(), pool=pool, timeout="600ms", max_bytes="1000B")

    assert [reason(prober.run()) for _ in range(2)] == [wanted] * 2
    assert server.connections == 2


def test_a_failed_check_keeps_the_connection(serve: Serve, pool: ConnectionPool) -> None:
    """The exchange was in order, whatever was in it."""
    server = serve(always(http_response(status="500 Oops")))
    prober = make_prober(server.url(), pool=pool)

    assert [reason(prober.run()) for _ in range(3)] == [Reason.HTTP_5XX] * 3
    assert server.connections == 1


def test_runs_at_the_same_time_do_not_share_a_connection(
    serve: Serve, pool: ConnectionPool
) -> None:
    """Each has its own; afterwards as many are kept as were needed at once."""
    server = serve(delayed(0.2, http_response()))
    prober = make_prober(server.url(), pool=pool)
    results: list[Result] = []

    for _ in range(3):
        threads = [threading.Thread(target=lambda: results.append(prober.run())) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert [reason(result) for result in results] == [None] * 12
    latencies = [result.latency for result in results]
    assert min(latencies) >= 0.2
    assert median(latencies) < 0.35
    assert server.connections == 4
    assert len(server.requests) == 12


def test_many_runs_at_the_same_time_get_their_own_answers(
    serve: Serve, pool: ConnectionPool
) -> None:
    """A connection is never given to a second run while the first one is not done with it."""

    def script(peer: Peer) -> None:
        while peer.request():
            peer.send(http_response(b"x" * 50_000))

    server = serve(script)
    prober = make_prober(server.url(), pool=pool, expect={"body_matches": "^x{50000}$"})
    results: list[Result] = []

    def work() -> None:
        results.extend(prober.run() for _ in range(40))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {reason(result) for result in results} == {None}
    assert len(results) == 160
    assert server.connections <= 4


def test_a_deadline_is_the_runs_and_not_the_connections(serve: Serve, pool: ConnectionPool) -> None:
    """A kept connection knows nothing of the stopwatch that it was opened under."""
    server = serve(delayed(0.15, http_response()))
    prober = make_prober(server.url(), pool=pool, timeout="300ms")

    assert [reason(prober.run()) for _ in range(4)] == [None] * 4
    assert server.connections == 1


def test_a_pool_that_was_closed_keeps_nothing(serve: Serve, pool: ConnectionPool) -> None:
    """A run that is under way when its probe is changed or removed comes to its end, and then
    closes its connection.
    """
    ended = threading.Event()

    def script(peer: Peer) -> None:
        peer.request()
        pool.close()
        peer.send(http_response())
        if peer.request() is None:
            ended.set()

    assert reason(make_prober(serve(script).url(), pool=pool).run()) is None

    assert ended.wait(5)
