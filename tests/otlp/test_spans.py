"""The spans of a result."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from probe import __version__
from probe.http.request import describe_request
from probe.http.trace_context import traceparent
from probe.otlp.spans import result_spans
from probe.result import Component, Phase, Reason, RedirectHop, Result
from tests.builders import make_probe, make_result
from tests.otlp.collector import attributes

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
START_NS = 1767323045 * 10**9  # of `make_result`
PHASES = {Phase.DNS: 0.002, Phase.CONNECT: 0.001, Phase.SEND: 0.0, Phase.WAIT: 0.25}


def spans_of(directory: Path, result: Result, **keys: Any) -> dict[str, dict[str, Any]]:
    """Return the spans by name."""
    request = describe_request(make_probe(directory, **keys))
    spans = result_spans(replace(result, request=request))
    assert len({span["spanId"] for span in spans}) == len(spans)
    return {span["name"]: span for span in spans}


def times(span: Mapping[str, Any]) -> tuple[int, int]:
    """Return start and end since the start of the run (microseconds)."""
    keys = ("startTimeUnixNano", "endTimeUnixNano")
    start, end = ((int(span[key]) - START_NS) // 1000 for key in keys)
    return start, end


def test_a_success(tmp_path: Path) -> None:
    """The run has a span, in it the request, and in the request its phases one after another."""
    result = make_result(
        phases=PHASES, trace_id=TRACE_ID, status=200, server={Component.QUEUE: 0.2}
    )
    url = "http://ann:secret@model:5000/predict?key=secret"
    spans = spans_of(tmp_path, result, url=url, method="POST")

    run, request = spans["probe model"], spans["POST"]
    assert {span["traceId"] for span in spans.values()} == {TRACE_ID}
    assert "parentSpanId" not in run
    assert request["parentSpanId"] == run["spanId"]
    assert (run["kind"], request["kind"]) == (1, 3)
    assert times(run) == times(request) == (0, 253_000)
    assert attributes(run) == {"inference_probe.probe": "model"}
    assert attributes(request)["http.response.status_code"] == "200"
    assert attributes(request)["url.full"] == "http://model:5000/predict"
    assert attributes(request)["user_agent.synthetic.type"] == "test"
    assert attributes(request)["inference_probe.server.queue_seconds"] == 0.2
    phases = {name: times(spans[name]) for name in ("dns", "connect", "send", "wait")}
    assert phases == {
        "dns": (0, 2_000),
        "connect": (2_000, 3_000),
        "send": (3_000, 3_000),
        "wait": (3_000, 253_000),
    }
    assert all(spans[name]["parentSpanId"] == request["spanId"] for name in phases)
    assert len(spans) == 6
    assert all("status" not in span for span in spans.values())


def test_the_server_is_a_child_of_the_request(tmp_path: Path) -> None:
    """The id in the header is that of the span."""
    spans = spans_of(tmp_path, make_result(phases=PHASES, trace_id=TRACE_ID))
    parent = traceparent(TRACE_ID, 0, sampled=True).split("-")[2]
    assert spans["GET"]["spanId"] == parent


def test_a_failure(tmp_path: Path) -> None:
    """Run and request have the status ERROR with the detail, and the reason as `error.type`."""
    result = make_result(trace_id=TRACE_ID, reason=Reason.HTTP_5XX, status=500)
    spans = spans_of(tmp_path, result)
    for name in ("probe model", "GET"):
        assert spans[name]["status"] == {"code": 2, "message": "as the test says"}
        assert attributes(spans[name])["error.type"] == "http_5xx"
    assert "status" not in spans["wait"]


def test_a_configured_user_agent(tmp_path: Path) -> None:
    """It may have secrets. The default one is `inference-probe/VERSION`."""
    result = make_result(trace_id=TRACE_ID)
    default = attributes(spans_of(tmp_path, result)["GET"])["user_agent.original"]
    assert default == f"inference-probe/{__version__}"
    configured = spans_of(tmp_path, result, headers={"user-agent": "token"})
    assert "user_agent.original" not in attributes(configured["GET"])


def test_redirects(tmp_path: Path) -> None:
    """Each request has a span, with its own URL and its own phases. Only the last one failed."""
    first, last = (
        RedirectHop(url=f"http://model/{name}", status=status, phases={Phase.WAIT: 0.1})
        for name, status in (("a", 307), ("b", 500))
    )
    result = make_result(
        latency=0.2,
        trace_id=TRACE_ID,
        reason=Reason.HTTP_5XX,
        status=500,
        hops=(first,),
        final_hop=last,
        request=describe_request(make_probe(tmp_path)),
    )
    spans = result_spans(result)
    requests = [span for span in spans if span["kind"] == 3]
    urls = [attributes(span)["url.full"] for span in requests]
    assert urls == ["http://model/a", "http://model/b"]
    assert [times(span) for span in requests] == [(0, 100_000), (100_000, 200_000)]
    assert ["status" in span for span in requests] == [False, True]
    ids = [traceparent(TRACE_ID, hop, sampled=True).split("-")[2] for hop in (0, 1)]
    assert [span["spanId"] for span in requests] == ids
    assert [span["parentSpanId"] for span in spans if span["name"] == "wait"] == ids


def test_no_request(tmp_path: Path) -> None:
    """A run that failed before its first network action has only its own span."""
    result = make_result(phases={}, trace_id=TRACE_ID, reason=Reason.INTERNAL)
    assert list(spans_of(tmp_path, result)) == ["probe model"]


def test_ids_are_those_of_otlp(tmp_path: Path) -> None:
    """In JSON they are hexadecimal, and times are text because of their 64 bits."""
    for span in spans_of(tmp_path, make_result(phases=PHASES, trace_id=TRACE_ID)).values():
        assert re.fullmatch("[0-9a-f]{32}", span["traceId"])
        assert re.fullmatch("[0-9a-f]{16}", span["spanId"])
        assert isinstance(span["startTimeUnixNano"], str)
