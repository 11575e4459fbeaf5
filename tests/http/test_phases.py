"""Which phases a run has, and which delay belongs to which phase."""

import time
from datetime import UTC, datetime

import pytest

from probe.clock import Clock
from probe.http.pool import ConnectionPool
from probe.result import STREAM_PHASES, Phase, Reason
from tests.http.conftest import Authority, Serve
from tests.probing import fake_getaddrinfo, make_prober, reason, run, run_median, run_scheduled
from tests.raw_servers import Peer, always, delayed, http_response, once

pytestmark = pytest.mark.timing

DELAY_SECONDS = 0.1
TOLERANCE_SECONDS = 0.05
EXCHANGE = {Phase.SEND, Phase.WAIT, Phase.RECEIVE}

ONE_DELAY = pytest.approx(DELAY_SECONDS, abs=TOLERANCE_SECONDS)
TWO_DELAYS = pytest.approx(2 * DELAY_SECONDS, abs=TOLERANCE_SECONDS)


def test_an_address_needs_no_lookup_and_http_no_tls(serve: Serve) -> None:
    """Phases that did not take place are absent, not 0."""
    result = run(serve(always(http_response())).url())

    assert set(result.phases) == {Phase.CONNECT} | EXCHANGE


def test_an_ipv6_address_needs_no_lookup(serve: Serve) -> None:
    """It is written in brackets in a URL."""
    result = run(serve(always(http_response()), host="::1").url(host="[::1]"))

    assert reason(result) is None
    assert set(result.phases) == {Phase.CONNECT} | EXCHANGE


def test_https_with_a_host_name_has_all_phases(serve: Serve, authority: Authority) -> None:
    """They are in the order in which they take place."""
    server = serve(always(http_response()), context=authority.context("model.test"))

    result = run(
        server.url(host="model.test"),
        tls=authority.tls,
        getaddrinfo=fake_getaddrinfo(model_test="127.0.0.1"),
    )

    assert list(result.phases) == [phase for phase in Phase if phase not in STREAM_PHASES]


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_a_reused_connection_has_no_phase_before_send(
    serve: Serve, authority: Authority, pool: ConnectionPool, tls: bool
) -> None:
    """It needs no lookup, no connect and no handshake; the certificate is still known."""
    server = serve(always(http_response()), context=authority.context() if tls else None)
    prober = make_prober(server.url(host="localhost"), pool=pool, tls=authority.tls, ip_family="4")

    first, second = run_scheduled(prober), run_scheduled(prober)

    assert first.phases.keys() > EXCHANGE
    assert second.phases.keys() == EXCHANGE
    assert (second.certificate_not_after is not None) is tls


def test_the_time_of_the_model_is_wait(serve: Serve, authority: Authority) -> None:
    """The session tickets of TLS 1.3 come before the response, and are not its first byte."""
    server = serve(delayed(DELAY_SECONDS, http_response()), context=authority.context())

    result = run_median(server.url(), tls=authority.tls)

    assert reason(result) is None
    assert result.phases[Phase.WAIT] == ONE_DELAY
    assert result.phases[Phase.RECEIVE] < TOLERANCE_SECONDS


def test_latency_is_the_sum_of_the_phases_and_the_time_of_a_client(serve: Serve) -> None:
    """No time is missing, and none is counted twice."""
    prober = make_prober(serve(delayed(DELAY_SECONDS, http_response(b"x" * 100_000))).url())
    missing = []

    for _ in range(3):
        started = time.monotonic()
        result = prober.run()
        missing.append(time.monotonic() - started - result.latency)
        assert result.latency == pytest.approx(sum(result.phases.values()))
        assert result.latency >= DELAY_SECONDS

    assert 0 <= min(missing) < TOLERANCE_SECONDS


def test_slow_headers_are_receive(serve: Serve) -> None:
    """The first byte ends `wait`, even if the rest of the status line comes later."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(b"H")
        peer.pause(DELAY_SECONDS)
        peer.send(http_response()[1:])
        peer.silence()

    result = run_median(serve(script).url())

    assert result.phases[Phase.WAIT] < TOLERANCE_SECONDS
    assert result.phases[Phase.RECEIVE] == ONE_DELAY


def test_a_slow_body_is_receive(serve: Serve) -> None:
    """`receive` ends with the last byte, and not when the connection closes."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(http_response(b"xx")[:-1])
        peer.pause(DELAY_SECONDS)
        peer.send(b"x")
        peer.pause(DELAY_SECONDS)

    result = run_median(serve(script).url())

    assert result.phases[Phase.WAIT] < TOLERANCE_SECONDS
    assert result.phases[Phase.RECEIVE] == ONE_DELAY


@pytest.mark.parametrize(
    "informational",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n" * 3,
    ],
    ids=["100", "103", "three times 102"],
)
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_informational_responses_do_not_end_wait(
    serve: Serve, authority: Authority, informational: bytes, tls: bool
) -> None:
    """`wait` lasts until the first byte of the final response."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(informational)
        peer.pause(DELAY_SECONDS)
        peer.send(informational)
        peer.pause(DELAY_SECONDS)
        peer.send(http_response())
        peer.silence()

    server = serve(script, context=authority.context() if tls else None)

    result = run_median(server.url(), tls=authority.tls)

    assert reason(result) is None
    assert result.status == 200
    assert result.phases[Phase.WAIT] == TWO_DELAYS
    assert result.phases[Phase.RECEIVE] < TOLERANCE_SECONDS


def test_a_response_in_one_segment_with_an_informational_one_ends_wait(serve: Serve) -> None:
    """`wait` ends when the segment arrives, and the slow body is `receive`."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.pause(DELAY_SECONDS)
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        peer.pause(DELAY_SECONDS)
        peer.send(b"ok")
        peer.silence()

    result = run_median(serve(script).url())

    assert result.phases[Phase.WAIT] == ONE_DELAY
    assert result.phases[Phase.RECEIVE] == ONE_DELAY


def test_a_server_that_reads_slowly_is_send(serve: Serve) -> None:
    """A body that is larger than the buffers is not sent before the server reads."""
    read_seconds = []

    def script(peer: Peer) -> None:
        peer.pause(DELAY_SECONDS)
        started = time.monotonic()
        peer.request()
        read_seconds.append(time.monotonic() - started)
        peer.send(http_response())
        peer.silence()

    server = serve(script, receive_buffer=64 * 1024)

    result = run_median(server.url(), body="x" * 5_000_000, timeout="20s")

    assert reason(result) is None
    assert result.phases[Phase.SEND] > DELAY_SECONDS - TOLERANCE_SECONDS
    assert result.phases[Phase.WAIT] < max(read_seconds) + TOLERANCE_SECONDS


def test_a_slow_tunnel_is_connect(serve: Serve) -> None:
    """The time that a proxy needs to reach the server is part of `connect`, also if it fails."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.pause(DELAY_SECONDS)
        peer.send(http_response(b"", status="502 Bad Gateway"))

    result = run_median("https://model.test/", proxy=serve(script).url())

    assert reason(result) is Reason.PROXY
    assert set(result.phases) == {Phase.CONNECT}
    assert result.phases[Phase.CONNECT] == ONE_DELAY


def test_a_failure_has_the_phases_until_then(serve: Serve) -> None:
    """The phase of a reset ends with the reset."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.pause(DELAY_SECONDS)
        peer.reset()

    result = run_median(serve(script).url())

    assert reason(result) is Reason.RESET
    assert result.phases[Phase.WAIT] == ONE_DELAY
    assert Phase.RECEIVE not in result.phases


def test_due_and_started_are_dates(serve: Serve) -> None:
    """Both are in UTC; a run that is not scheduled has no due date."""
    prober = make_prober(serve(once(http_response())).url())
    clock = Clock()

    scheduled = prober.run(due=clock.monotonic() - 1_000_000_000)
    on_demand = prober.run()

    assert scheduled.due is not None
    seconds_late = (scheduled.started - scheduled.due).total_seconds()
    assert seconds_late == pytest.approx(1, abs=TOLERANCE_SECONDS)
    assert (datetime.now(UTC) - scheduled.started).total_seconds() < 1
    assert on_demand.due is None
