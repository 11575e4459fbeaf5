"""One absolute deadline for the whole probe, whatever the server does."""

import time
from statistics import median

import pytest

from probe.prober.prober import Prober
from probe.result import Phase, Reason
from tests.http.conftest import Authority, Serve
from tests.probing import make_prober, reason, usual
from tests.raw_servers import Peer, Script, http_response

TIMEOUT = 0.4
RUNS = 3
LATE = 0.15
"""Seconds that a machine which does other things, too, may add to a run or take of its latency."""


def held(prober: Prober, *wanted: Reason) -> None:
    """Runs end in time, each for a reason that is wanted, and report the timeout, less what the
    prober knows that it took itself.
    """
    took, latencies, unknown = [], [], []
    for _ in range(RUNS):
        began = time.monotonic()
        result = prober.run()
        took.append(time.monotonic() - began)
        latencies.append(result.latency)
        unknown.append(TIMEOUT - result.latency - result.correction)
        assert reason(result) in wanted
    assert median(took) < TIMEOUT + LATE
    assert median(latencies) > TIMEOUT - LATE
    assert max(latencies) <= TIMEOUT
    assert median(unknown) < 0.01


def after(head: bytes, drip: bytes) -> Script:
    """A script that answers with `head` at once and goes on byte by byte."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(head)
        peer.drip(drip)

    return script


def interim_without_end(peer: Peer) -> None:
    peer.request()
    while True:
        peer.send(b"HTTP/1.1 102 Processing\r\n\r\n")
        peer.pause(0.02)


def empty_trailers(peer: Peer) -> None:
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
    while True:
        peer.send(b"Trailer: x\r\n")
        peer.pause(0.02)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
SCRIPTS: dict[str, tuple[Script, Reason]] = {
    "status line": (after(b"", b"HTTP/1.1 200 OK and well"), Reason.BODY_TIMEOUT),
    "headers": (after(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n" * 9), Reason.BODY_TIMEOUT),
    "chunk size": (after(CHUNKED, b"0" * 30), Reason.BODY_TIMEOUT),
    "chunks": (after(CHUNKED, b"1\r\nx\r\n" * 9), Reason.BODY_TIMEOUT),
    "body": (after(http_response(b"x" * 40)[:-40], b"x" * 40), Reason.BODY_TIMEOUT),
    "body until close": (after(b"HTTP/1.0 200 OK\r\n\r\n", b"x" * 40), Reason.BODY_TIMEOUT),
    "trailers": (empty_trailers, Reason.BODY_TIMEOUT),
    "1xx": (interim_without_end, Reason.FIRST_BYTE_TIMEOUT),
}


@pytest.mark.parametrize("drip", SCRIPTS)
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_a_drip_does_not_move_the_deadline(
    serve: Serve, authority: Authority, drip: str, tls: bool
) -> None:
    """A byte each 50 ms, wherever it comes, is no reason to wait longer."""
    script, wanted = SCRIPTS[drip]
    server = serve(script, context=authority.context() if tls else None)

    held(make_prober(server.url(), timeout="400ms", tls=authority.tls), wanted)


def test_a_handshake_that_drips_does_not_move_the_deadline(
    serve: Serve, authority: Authority
) -> None:
    """The beginning of a TLS record that never comes to its end."""

    def script(peer: Peer) -> None:
        peer.connection.recv(1)
        peer.drip(b"\x16\x03\x03\x40\x00\x02" + b"\x00" * 40)

    url = serve(script).url().replace("http", "https")

    held(make_prober(url, timeout="400ms", tls=authority.tls), Reason.TLS_TIMEOUT)


def test_a_slow_reader_does_not_move_the_deadline(serve: Serve) -> None:
    """A peer that reads a little now and then."""

    def script(peer: Peer) -> None:
        while True:
            peer.connection.recv(1000)
            peer.pause(0.02)

    server = serve(script, receive_buffer=4096)

    held(make_prober(server.url(), timeout="400ms", body="x" * 6_000_000), Reason.SEND_TIMEOUT)


def test_slow_redirects_share_one_deadline(serve: Serve) -> None:
    """Each hop is quicker than the timeout, all of them are not."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.pause(0.15)
        peer.send(http_response(b"", "Location: /on", status="302 Found"))

    prober = make_prober(serve(script).url(), timeout="400ms", redirects=20)

    held(prober, Reason.FIRST_BYTE_TIMEOUT)
    assert len(prober.run().hops) == 2


def test_a_proxy_that_hangs_in_the_tunnel_does_not_move_the_deadline(serve: Serve) -> None:
    """The answer to CONNECT drips."""
    server = serve(after(b"", b"HTTP/1.1 200 OK and well"))

    held(
        make_prober("https://model.test/", proxy=server.url(), timeout="400ms"),
        Reason.CONNECT_TIMEOUT,
    )


def test_an_answer_in_time_is_a_success(serve: Serve) -> None:
    """The counterproof: dripped for 200 ms, it is complete and its time is right."""
    server = serve(after(http_response(b"xxxx")[:-4], b"xxxx"))

    result = usual(server.url(), timeout="400ms")

    assert reason(result) is None
    assert result.phases[Phase.RECEIVE] == pytest.approx(0.15, abs=0.05)
