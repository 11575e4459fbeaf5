"""What each phase holds, against delays of a known size."""

import time
from datetime import UTC, datetime

import pytest

from probe.clock import Clock
from probe.http.pool import ConnectionPool
from probe.result import Phase, Reason
from tests.http.conftest import Authority, Serve
from tests.probing import make_prober, names, reason, run, run_scheduled, usual
from tests.raw_servers import Peer, always, delayed, http_response, once

DELAY = 0.2
NEAR = 0.05
EXCHANGE = {Phase.SEND, Phase.WAIT, Phase.RECEIVE}


def test_an_address_needs_no_lookup_and_http_no_tls(serve: Serve) -> None:
    """Phases that did not happen are absent, not 0."""
    result = run(serve(always(http_response())).url())

    assert set(result.phases) == {Phase.CONNECT} | EXCHANGE


def test_an_ipv6_address_needs_no_lookup(serve: Serve) -> None:
    """Brackets and all."""
    result = run(serve(always(http_response()), host="::1").url(host="[::1]"))

    assert reason(result) is None
    assert set(result.phases) == {Phase.CONNECT} | EXCHANGE


def test_all_phases_of_https_by_name_are_there(serve: Serve, authority: Authority) -> None:
    """In the order in which they happen."""
    server = serve(always(http_response()), context=authority.context("model.test"))

    result = run(
        server.url(host="model.test"),
        tls=authority.tls,
        getaddrinfo=names(model_test="127.0.0.1"),
    )

    assert list(result.phases) == list(Phase)


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_a_reused_connection_has_no_phase_of_its_making(
    serve: Serve, authority: Authority, pool: ConnectionPool, tls: bool
) -> None:
    """Neither a lookup nor a connect nor a handshake; the certificate is still known."""
    server = serve(always(http_response()), context=authority.context() if tls else None)
    prober = make_prober(server.url(host="localhost"), pool=pool, tls=authority.tls, ip_family="4")

    first, second = run_scheduled(prober), run_scheduled(prober)

    assert first.phases.keys() > EXCHANGE
    assert second.phases.keys() == EXCHANGE
    assert (second.certificate_not_after is not None) is tls


def test_thinking_is_waiting(serve: Serve, authority: Authority) -> None:
    """The time before the first byte; the tickets of TLS 1.3 come first and do not count."""
    server = serve(delayed(DELAY, http_response()), context=authority.context())

    result = usual(server.url(), tls=authority.tls)

    assert reason(result) is None
    assert result.phases[Phase.WAIT] == pytest.approx(DELAY, abs=NEAR)
    assert result.phases[Phase.RECEIVE] < NEAR


def test_latency_is_the_sum_and_what_a_client_feels(serve: Serve) -> None:
    """Nothing is left out, nothing counts twice."""
    prober = make_prober(serve(delayed(DELAY, http_response(b"x" * 100_000))).url())
    left_out = []

    for _ in range(3):
        began = time.monotonic()
        result = prober.run()
        left_out.append(time.monotonic() - began - result.latency)
        assert result.latency == pytest.approx(sum(result.phases.values()))
        assert result.latency >= DELAY

    assert 0 <= min(left_out) < NEAR


def test_dripped_headers_are_received(serve: Serve) -> None:
    """The first byte was there at once."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(b"H")
        peer.pause(DELAY)
        peer.send(http_response()[1:])
        peer.silence()

    result = usual(serve(script).url())

    assert result.phases[Phase.WAIT] < NEAR
    assert result.phases[Phase.RECEIVE] == pytest.approx(DELAY, abs=NEAR)


def test_a_slow_body_is_received(serve: Serve) -> None:
    """To its last byte, and not to when the connection closes."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(http_response(b"xx")[:-1])
        peer.pause(DELAY)
        peer.send(b"x")
        peer.pause(DELAY)

    result = usual(serve(script).url())

    assert result.phases[Phase.WAIT] < NEAR
    assert result.phases[Phase.RECEIVE] == pytest.approx(DELAY, abs=NEAR)


@pytest.mark.parametrize(
    "interim",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n" * 3,
    ],
)
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_interim_answers_are_not_the_first_byte(
    serve: Serve, authority: Authority, interim: bytes, tls: bool
) -> None:
    """The wait goes on until the answer itself comes."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(interim)
        peer.pause(DELAY)
        peer.send(interim)
        peer.pause(DELAY)
        peer.send(http_response())
        peer.silence()

    server = serve(script, context=authority.context() if tls else None)

    result = usual(server.url(), tls=authority.tls)

    assert reason(result) is None
    assert result.status == 200
    assert result.phases[Phase.WAIT] == pytest.approx(2 * DELAY, abs=NEAR)
    assert result.phases[Phase.RECEIVE] < NEAR


def test_an_answer_in_one_piece_with_an_interim_one_is_told_apart(serve: Serve) -> None:
    """They came in one segment: the wait ends when it came, and the slow rest is received."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.pause(DELAY)
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        peer.pause(DELAY)
        peer.send(b"ok")
        peer.silence()

    result = usual(serve(script).url())

    assert result.phases[Phase.WAIT] == pytest.approx(DELAY, abs=NEAR)
    assert result.phases[Phase.RECEIVE] == pytest.approx(DELAY, abs=NEAR)


def test_a_slow_reader_is_in_send(serve: Serve) -> None:
    """A body that is larger than the buffers is not sent before somebody reads."""
    reading = []

    def script(peer: Peer) -> None:
        peer.pause(DELAY)
        began = time.monotonic()
        peer.request()
        reading.append(time.monotonic() - began)
        peer.send(http_response())
        peer.silence()

    server = serve(script, receive_buffer=4096)

    result = usual(server.url(), body="x" * 5_000_000, timeout="20s")

    assert reason(result) is None
    assert result.phases[Phase.SEND] > DELAY - NEAR
    assert result.phases[Phase.WAIT] < max(reading) + NEAR


def test_a_slow_tunnel_is_connect(serve: Serve) -> None:
    """What the proxy needs to reach the server belongs to connecting; here it fails in the end."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.pause(DELAY)
        peer.send(http_response(b"", status="502 Bad Gateway"))

    result = usual("https://model.test/", proxy=serve(script).url())

    assert reason(result) is Reason.PROXY
    assert set(result.phases) == {Phase.CONNECT}
    assert result.phases[Phase.CONNECT] == pytest.approx(DELAY, abs=NEAR)


def test_a_failure_has_the_phases_up_to_it(serve: Serve) -> None:
    """A reset after a while: the client has felt the while."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.pause(DELAY)
        peer.reset()

    result = usual(serve(script).url())

    assert reason(result) is Reason.RESET
    assert result.phases[Phase.WAIT] == pytest.approx(DELAY, abs=NEAR)
    assert Phase.RECEIVE not in result.phases


def test_due_and_started_are_dates(serve: Serve) -> None:
    """Both in UTC; without a schedule nothing was due."""
    prober = make_prober(serve(once(http_response())).url())
    clock = Clock()

    scheduled = prober.run(due=clock.monotonic() - 1_000_000_000)
    alone = prober.run()

    assert scheduled.due is not None
    assert (scheduled.started - scheduled.due).total_seconds() == pytest.approx(1, abs=NEAR)
    assert (datetime.now(UTC) - scheduled.started).total_seconds() < 1
    assert alone.due is None
