"""The header `traceparent`, and the trace id of a result."""

import re
from pathlib import Path

import pytest
from requests import PreparedRequest, Response

from probe.clock import Clock
from probe.config.secrets import Secrets
from probe.http.pool import ConnectionPool
from probe.http.stopwatch import Timestamp
from probe.http.trace_context import new_trace_id, request_span_id, span_id
from probe.prober.prober import Prober
from tests.http.conftest import Serve
from tests.probing import EVALUATOR, make_prober, read_probe, run, run_scheduled
from tests.raw_servers import always, http_response

HEADER = re.compile("00-([0-9a-f]{32})-([0-9a-f]{16})-(0[01])")


@pytest.mark.parametrize(("is_sampled", "flags"), [(False, "00"), (True, "01")])
def test_a_request_has_the_trace_of_its_result(serve: Serve, is_sampled: bool, flags: str) -> None:
    """The header has the trace id of the result, the span of the request, and the flag."""
    server = serve(always(http_response()))
    result = make_prober(server.url(), is_sampled=is_sampled).run()

    (received,) = server.requests
    assert result.trace_id
    assert received.header("traceparent") == (
        f"00-{result.trace_id}-{request_span_id(result.trace_id, 0)}-{flags}"
    )


def test_each_run_has_its_own_trace(serve: Serve, pool: ConnectionPool) -> None:
    """Also on the same connection, and with the same cached request."""
    server = serve(always(http_response()))
    prober = make_prober(server.url(), pool=pool)
    results = [run_scheduled(prober) for _ in range(3)]

    sent = [received.header("traceparent") or "" for received in server.requests]
    assert [header.split("-")[1] for header in sent] == [result.trace_id for result in results]
    assert len({result.trace_id for result in results}) == 3


def test_a_run_does_not_change_the_request_of_another_run() -> None:
    """Runs at the same time share the request of their probe, but not its header."""
    sent = []

    class Client:
        certificate_not_after: float | None = None
        last_received = Timestamp(0, 0)

        def send(self, request: PreparedRequest) -> Response:
            sent.append(request)
            raise ConnectionRefusedError

        def close(self) -> None:
            """Do nothing: there is no connection."""

    secrets = Secrets({}, Path())
    probe = read_probe("http://model/", secrets, Path(), {})
    prober = Prober(probe, secrets, lambda *_, **__: Client(), Clock(), EVALUATOR)
    results = [prober.run() for _ in range(2)]
    headers = [str(request.headers["traceparent"]).split("-")[1] for request in sent]
    assert headers == [result.trace_id for result in results]


def test_redirects_have_new_spans_in_the_same_trace(serve: Serve) -> None:
    """Also on the way to another host. Each request has one header."""
    other = serve(always(http_response()))
    server = serve(always(http_response(b"", f"Location: {other.url('/b')}", status="302 Found")))
    result = run(server.url(), redirects=1)

    sent = [
        received.header("traceparent") or "" for received in (*server.requests, *other.requests)
    ]
    matches = [HEADER.fullmatch(header) for header in sent]
    assert [match and match[1] for match in matches] == [result.trace_id] * 2
    assert len({match and match[2] for match in matches}) == 2


@pytest.mark.parametrize("name", ["traceparent", "Traceparent"])
def test_a_configured_traceparent_is_sent_instead(serve: Serve, name: str) -> None:
    """It is not the trace of one result, so results have no trace id."""
    mine = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    server = serve(always(http_response()))
    result = run(server.url(), headers={name: mine})

    (received,) = server.requests
    assert received.header("traceparent") == mine
    assert result.trace_id is None


def test_a_failure_has_a_trace_id() -> None:
    """Also if no request was sent."""
    assert run("http://127.0.0.1:1/").trace_id


def test_span_ids_are_valid_and_distinct() -> None:
    """They wrap around at the end of their range, and are never 0, which is invalid."""
    for trace_id in (new_trace_id(), "f" * 32, "0" * 31 + "1"):
        ids = [span_id(trace_id, number) for number in range(100)]
        assert len(set(ids)) == 100
        assert all(re.fullmatch("[0-9a-f]{16}", text) and int(text, 16) for text in ids)
