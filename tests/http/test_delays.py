"""A delay of a known size in each phase: it is reported there, nowhere else, and in the total.

To within 10 ms at the median of several runs, and for failures, too; the tight bounds are those of
`python -m bench.accuracy`.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from statistics import median
from typing import Any

import pytest

from probe.prober.prober import Prober
from probe.result import Phase, Reason, Result
from tests.http.conftest import Authority, Serve
from tests.probing import make_prober, reason
from tests.raw_servers import Peer, http_response

DELAY = 0.3
DEADLINE = 0.5
TOLERANCE = 0.01
RUNS = 5
HEADERS = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"

Setup = Callable[[Serve, Authority, float, str], Prober]
"""Makes a prober whose endpoint delays (seconds), with a timeout."""


def before_the_first_byte(seconds: float, peer: Peer) -> None:
    peer.request()
    peer.pause(seconds)
    peer.send(http_response())


def after_the_headers(seconds: float, peer: Peer) -> None:
    peer.request()
    peer.send(HEADERS)
    peer.pause(seconds)
    peer.send(b"body")


def between_bytes(seconds: float, peer: Peer) -> None:
    peer.request()
    peer.send(HEADERS + b"b")
    for byte in (b"o", b"d", b"y"):
        peer.pause(seconds / 3)
        peer.send(byte)


def serving(script: Callable[[float, Peer], None]) -> Setup:
    def setup(serve: Serve, _: Authority, seconds: float, timeout: str) -> Prober:
        return make_prober(serve(partial(script, seconds)).url(), timeout=timeout)

    return setup


def slow_lookup(serve: Serve, _: Authority, seconds: float, timeout: str) -> Prober:
    def getaddrinfo(host: str, *rest: Any) -> list[tuple[Any, ...]]:
        if not rest[-1] & socket.AI_NUMERICHOST:
            time.sleep(seconds)
            host = "127.0.0.1"
        return list(socket.getaddrinfo(host, *rest))

    url = serve(partial(before_the_first_byte, 0.0)).url(host="model.test")
    return make_prober(url, getaddrinfo=getaddrinfo, timeout=timeout)


def slow_handshake(serve: Serve, authority: Authority, seconds: float, timeout: str) -> Prober:
    context = authority.context()

    def script(peer: Peer) -> None:
        peer.pause(seconds)
        with context.wrap_socket(peer.connection, server_side=True) as secured:
            secured.recv(65536)
            secured.sendall(http_response())

    url = serve(script).url().replace("http:", "https:")
    return make_prober(url, tls=authority.tls, timeout=timeout)


CASES: dict[str, tuple[Phase, Setup]] = {
    "a slow lookup": (Phase.DNS, slow_lookup),
    "a TLS peer that waits": (Phase.TLS, slow_handshake),
    "before the first byte": (Phase.WAIT, serving(before_the_first_byte)),
    "after the headers": (Phase.RECEIVE, serving(after_the_headers)),
    "between bytes": (Phase.RECEIVE, serving(between_bytes)),
}


def elsewhere(result: Result, phase: Phase) -> float:
    return result.latency - result.phases[phase]


@pytest.mark.parametrize(("phase", "setup"), CASES.values(), ids=CASES)
def test_a_delay_is_where_it_happened(
    serve: Serve, authority: Authority, phase: Phase, setup: Setup
) -> None:
    """In its phase, in no other, and in the total."""
    prober = setup(serve, authority, DELAY, "5s")
    results = [prober.run() for _ in range(RUNS)]
    assert [reason(result) for result in results] == [None] * RUNS
    assert median(result.phases[phase] for result in results) == pytest.approx(DELAY, abs=TOLERANCE)
    assert median(elsewhere(result, phase) for result in results) < TOLERANCE
    assert median(result.latency for result in results) == pytest.approx(DELAY, abs=TOLERANCE)


TIMEOUTS = {
    Phase.DNS: Reason.DNS,
    Phase.TLS: Reason.TLS_TIMEOUT,
    Phase.WAIT: Reason.FIRST_BYTE_TIMEOUT,
    Phase.RECEIVE: Reason.BODY_TIMEOUT,
}


@pytest.mark.parametrize(("phase", "setup"), CASES.values(), ids=CASES)
def test_a_deadline_is_reported_as_what_it_is(
    serve: Serve, authority: Authority, phase: Phase, setup: Setup
) -> None:
    """A probe that times out after 500 ms reports 500 ms, in the phase in which it was struck."""
    prober = setup(serve, authority, 10 * DEADLINE, "500ms")
    results = [prober.run() for _ in range(RUNS)]
    assert [reason(result) for result in results] == [TIMEOUTS[phase]] * RUNS
    assert median(result.latency for result in results) == pytest.approx(DEADLINE, abs=TOLERANCE)
    if phase is not Phase.RECEIVE:  # `between bytes` has received some by then
        assert median(elsewhere(result, phase) for result in results) < TOLERANCE


@contextmanager
def full_queue() -> Iterator[int]:
    """The port of a listener whose queue is full: it drops whoever wants to connect."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        time.sleep(0.1)
        try:
            yield listener.getsockname()[1]
        finally:
            for one in waiting:
                one.close()


def test_a_full_listen_queue_is_connect() -> None:
    """Nobody takes the connection: the deadline strikes while connecting, and is reported."""
    with full_queue() as port:
        prober = make_prober(f"http://127.0.0.1:{port}/", timeout="500ms")
        results = [prober.run() for _ in range(RUNS)]
    assert [reason(result) for result in results] == [Reason.CONNECT_TIMEOUT] * RUNS
    assert {tuple(result.phases) for result in results} == {(Phase.CONNECT,)}
    assert median(result.latency for result in results) == pytest.approx(0.5, abs=TOLERANCE)


def test_a_handshake_that_had_to_be_repeated_is_connect() -> None:
    """The first SYN is dropped, and sent again after a second: what the kernel says of the
    handshake is true of the second alone, and is not believed.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        place = listener.getsockname()

        def take_both() -> None:
            for _ in range(2):
                listener.accept()[0].close()

        with socket.create_connection(place):
            taker = threading.Timer(0.5, take_both)
            taker.start()
            result = make_prober(f"http://127.0.0.1:{place[1]}/", timeout="2s").run()
            taker.join()
    assert result.phases[Phase.CONNECT] == pytest.approx(1.03, abs=0.05)
