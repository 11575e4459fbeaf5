"""Accuracy of each phase: a delay of a known size is in its phase, in no other, and in the total.

To within 10 ms at the median of several runs, also for failures. `python -m bench.accuracy` has
tighter bounds.
"""

import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import pytest

from probe.prober.prober import Prober
from probe.result import Phase, Reason, Result
from tests.http.conftest import Authority, Serve
from tests.probing import make_prober, reason
from tests.raw_servers import Peer, full_accept_queue, http_response

pytestmark = pytest.mark.timing

DELAY_SECONDS = 0.15
TIMEOUT_SECONDS = 0.2
TOLERANCE_SECONDS = 0.01
RUNS = 5
HEADERS = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"

# Returns a prober with a timeout, of an endpoint that delays its response by some seconds.
Setup = Callable[[Serve, Authority, float, str], Prober]


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
    "a slow TLS handshake": (Phase.TLS, slow_handshake),
    "before the first byte": (Phase.WAIT, serving(before_the_first_byte)),
    "after the headers": (Phase.RECEIVE, serving(after_the_headers)),
    "between bytes": (Phase.RECEIVE, serving(between_bytes)),
}


def other_phases(result: Result, phase: Phase) -> float:
    """Return the seconds of all phases but one."""
    return result.latency - result.phases[phase]


@pytest.mark.parametrize(("phase", "setup"), CASES.values(), ids=CASES)
def test_a_delay_is_in_its_phase(
    serve: Serve, authority: Authority, phase: Phase, setup: Setup
) -> None:
    """It is in no other phase, and in the total."""
    prober = setup(serve, authority, DELAY_SECONDS, "5s")
    results = [prober.run() for _ in range(RUNS)]
    exact = pytest.approx(DELAY_SECONDS, abs=TOLERANCE_SECONDS)
    assert [reason(result) for result in results] == [None] * RUNS
    assert median(result.phases[phase] for result in results) == exact
    assert median(other_phases(result, phase) for result in results) < TOLERANCE_SECONDS
    assert median(result.latency for result in results) == exact


TIMEOUTS = {
    Phase.DNS: Reason.DNS,
    Phase.TLS: Reason.TLS_TIMEOUT,
    Phase.WAIT: Reason.FIRST_BYTE_TIMEOUT,
    Phase.RECEIVE: Reason.BODY_TIMEOUT,
}


@pytest.mark.parametrize(("phase", "setup"), CASES.values(), ids=CASES)
def test_a_timeout_is_the_latency_of_the_failure(
    serve: Serve, authority: Authority, phase: Phase, setup: Setup
) -> None:
    """A probe that times out after 200 ms reports 200 ms, in the phase of the timeout."""
    prober = setup(serve, authority, 10 * TIMEOUT_SECONDS, f"{TIMEOUT_SECONDS * 1000:.0f}ms")
    results = [prober.run() for _ in range(RUNS)]
    exact = pytest.approx(TIMEOUT_SECONDS, abs=TOLERANCE_SECONDS)
    assert [reason(result) for result in results] == [TIMEOUTS[phase]] * RUNS
    assert median(result.latency for result in results) == exact
    if phase is not Phase.RECEIVE:  # `between bytes` has received some by then
        assert median(other_phases(result, phase) for result in results) < TOLERANCE_SECONDS


def test_a_full_listen_queue_is_connect() -> None:
    """The server does not accept: the timeout occurs in the phase `connect`."""
    with full_accept_queue() as address:
        url = f"http://127.0.0.1:{address[1]}/"
        prober = make_prober(url, timeout=f"{TIMEOUT_SECONDS * 1000:.0f}ms")
        results = [prober.run() for _ in range(RUNS)]
    exact = pytest.approx(TIMEOUT_SECONDS, abs=TOLERANCE_SECONDS)
    assert [reason(result) for result in results] == [Reason.CONNECT_TIMEOUT] * RUNS
    assert {tuple(result.phases) for result in results} == {(Phase.CONNECT,)}
    assert median(result.latency for result in results) == exact


def test_a_repeated_handshake_is_connect() -> None:
    """A lost SYN is sent again after a second, and this second counts.

    The kernel's round-trip time is that of the second SYN alone, so it is not used.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()

        def accept_both() -> None:
            for _ in range(2):
                listener.accept()[0].close()

        with socket.create_connection(address):
            timer = threading.Timer(0.5, accept_both)
            timer.start()
            result = make_prober(f"http://127.0.0.1:{address[1]}/", timeout="2s").run()
            timer.join()
    assert result.phases[Phase.CONNECT] == pytest.approx(1.03, abs=0.05)
