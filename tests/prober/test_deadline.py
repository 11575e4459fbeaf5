"""The deadline of a probe is absolute, whatever the server does."""

import time
from statistics import median

import pytest

from probe.prober.prober import Prober
from probe.result import Phase, Reason
from tests.http.conftest import Authority, Serve
from tests.probing import make_prober, reason, run_median
from tests.raw_servers import Peer, Script, http_response

pytestmark = pytest.mark.timing

TIMEOUT = 0.2
RUNS = 3
# Delay of a run, or error of its latency, that a busy machine may cause.
TOLERANCE_SECONDS = 0.15


def check_deadline(prober: Prober, *wanted: Reason) -> None:
    """Check that runs end at the deadline with one of the wanted reasons.

    The reported latency is the timeout, less the delays that the prober has measured itself.
    """
    took, latencies, unknown = [], [], []
    for _ in range(RUNS):
        began = time.monotonic()
        result = prober.run()
        took.append(time.monotonic() - began)
        latencies.append(result.latency)
        unknown.append(TIMEOUT - result.latency - result.correction)
        assert reason(result) in wanted
    assert median(took) < TIMEOUT + TOLERANCE_SECONDS
    assert median(latencies) > TIMEOUT - TOLERANCE_SECONDS
    assert max(latencies) <= TIMEOUT
    assert median(unknown) < 0.01


def send_then_drip(head: bytes, drip: bytes) -> Script:
    """Return a script that sends `head` at once and `drip` byte by byte."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(head)
        peer.drip(drip)

    return script


def endless_informational(peer: Peer) -> None:
    peer.request()
    while True:
        peer.send(b"HTTP/1.1 102 Processing\r\n\r\n")
        peer.pause(0.02)


def endless_trailers(peer: Peer) -> None:
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
    while True:
        peer.send(b"Trailer: x\r\n")
        peer.pause(0.02)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
SCRIPTS: dict[str, tuple[Script, Reason]] = {
    "status line": (send_then_drip(b"", b"HTTP/1.1 200 OK and well"), Reason.BODY_TIMEOUT),
    "headers": (send_then_drip(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n" * 9), Reason.BODY_TIMEOUT),
    "chunk size": (send_then_drip(CHUNKED, b"0" * 30), Reason.BODY_TIMEOUT),
    "chunks": (send_then_drip(CHUNKED, b"1\r\nx\r\n" * 9), Reason.BODY_TIMEOUT),
    "body": (send_then_drip(http_response(b"x" * 40)[:-40], b"x" * 40), Reason.BODY_TIMEOUT),
    "body until close": (
        send_then_drip(b"HTTP/1.0 200 OK\r\n\r\n", b"x" * 40),
        Reason.BODY_TIMEOUT,
    ),
    "trailers": (endless_trailers, Reason.BODY_TIMEOUT),
    "1xx": (endless_informational, Reason.FIRST_BYTE_TIMEOUT),
}


@pytest.mark.parametrize("drip", SCRIPTS)
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_a_drip_does_not_move_the_deadline(
    serve: Serve, authority: Authority, drip: str, tls: bool
) -> None:
    """A byte every 50 ms does not extend the deadline, in any part of a response."""
    script, wanted = SCRIPTS[drip]
    server = serve(script, context=authority.context() if tls else None)

    check_deadline(make_prober(server.url(), timeout="200ms", tls=authority.tls), wanted)


def test_a_handshake_that_drips_does_not_move_the_deadline(
    serve: Serve, authority: Authority
) -> None:
    """The beginning of a TLS record that is never completed."""

    def script(peer: Peer) -> None:
        peer.connection.recv(1)
        peer.drip(b"\x16\x03\x03\x40\x00\x02" + b"\x00" * 40)

    url = serve(script).url().replace("http", "https")

    check_deadline(make_prober(url, timeout="200ms", tls=authority.tls), Reason.TLS_TIMEOUT)


def test_a_slow_reader_does_not_move_the_deadline(serve: Serve) -> None:
    """A server that reads a little at a time."""

    def script(peer: Peer) -> None:
        while True:
            peer.connection.recv(1000)
            peer.pause(0.02)

    server = serve(script, receive_buffer=4096)

    check_deadline(
        make_prober(server.url(), timeout="200ms", body="x" * 6_000_000), Reason.SEND_TIMEOUT
    )


def test_slow_redirects_share_one_deadline(serve: Serve) -> None:
    """Each hop is faster than the timeout, all together are not."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.pause(0.07)
        peer.send(http_response(b"", "Location: /on", status="302 Found"))

    prober = make_prober(serve(script).url(), timeout="200ms", redirects=20)

    check_deadline(prober, Reason.FIRST_BYTE_TIMEOUT)
    assert len(prober.run().hops) == 2


def test_a_proxy_that_drips_does_not_move_the_deadline(serve: Serve) -> None:
    """The response to CONNECT arrives byte by byte."""
    server = serve(send_then_drip(b"", b"HTTP/1.1 200 OK and well"))

    check_deadline(
        make_prober("https://model.test/", proxy=server.url(), timeout="200ms"),
        Reason.CONNECT_TIMEOUT,
    )


def test_a_slow_response_before_the_deadline_is_a_success(serve: Serve) -> None:
    """The response takes 200 ms, and the phase `receive` is right."""
    server = serve(send_then_drip(http_response(b"xxxx")[:-4], b"xxxx"))

    result = run_median(server.url(), timeout="400ms")

    assert reason(result) is None
    assert result.phases[Phase.RECEIVE] == pytest.approx(0.15, abs=0.05)
