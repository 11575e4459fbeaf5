"""The spans of one run, in the JSON of OTLP: the run, its requests, and their phases."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from probe.http.trace_context import request_span_id, span_id
from probe.otlp.attributes import AttributeValue, to_attributes
from probe.result import FirstRequest, RedirectHop, Result
from probe.serialization import RequestSpans, Span, request_spans

_KIND_INTERNAL = 1
_KIND_CLIENT = 3
_STATUS_ERROR = 2

# Number of the span of the run. That of a request is the next one; see `request_span_id`.
_RUN_SPAN = 0


def result_spans(result: Result) -> list[dict[str, Any]]:
    """Return the spans of a result with a trace. Its URLs and its detail have no secrets.

    The times are those of the kernel, so delays of this process are in no span.
    """
    assert result.trace_id, "the run has a trace"
    assert result.request, "a prober has run"
    return list(_SpanWriter(result, result.trace_id, result.request).spans())


class _SpanWriter:
    def __init__(self, result: Result, trace_id: str, request: FirstRequest) -> None:
        self._result = result
        self._trace_id = trace_id
        self._request = request
        # Microseconds are the resolution of `started`. As a float, nanoseconds would not be exact.
        self._start_ns = round(result.started.timestamp() * 1e6) * 1000

    def spans(self) -> Iterator[dict[str, Any]]:
        result = self._result
        requests = [request for request in request_spans(result) if request.spans]
        yield self._span(
            f"probe {result.probe}",
            _KIND_INTERNAL,
            number=_RUN_SPAN,
            parent=None,
            times=(0.0, result.latency),
            attributes={"inference_probe.probe": result.probe, "error.type": result.reason},
            failed=result.failure is not None,
        )
        for hop, request in enumerate(requests):
            yield self._request_span(hop, request, is_last=hop == len(requests) - 1)
        # The numbers after those of the requests.
        number = 1 + len(requests)
        for hop, request in enumerate(requests):
            parent = request_span_id(self._trace_id, hop)
            for phase in _phases(request):
                yield self._span(
                    phase.name,
                    _KIND_INTERNAL,
                    number=number,
                    parent=parent,
                    times=(phase.start, phase.start + phase.seconds),
                )
                number += 1

    def _request_span(self, hop: int, request: RequestSpans, *, is_last: bool) -> dict[str, Any]:
        """Return the span of a request. The server's span has it as its parent."""
        phases = _phases(request)
        failed = is_last and self._result.failure is not None
        return self._span(
            self._request.method if hop == 0 else "redirect",
            _KIND_CLIENT,
            number=1 + hop,
            parent=span_id(self._trace_id, _RUN_SPAN),
            times=(phases[0].start, phases[-1].start + phases[-1].seconds),
            attributes={
                **self._http_attributes(request.hop),
                "http.request.method": self._request.method if hop == 0 else None,
                "http.request.resend_count": hop or None,
                "error.type": self._result.reason if failed else None,
                **{
                    f"inference_probe.server.{span.name}_seconds": span.seconds
                    for span in request.spans
                    if span.reported_by_server
                },
            },
            failed=failed,
        )

    def _http_attributes(self, hop: RedirectHop | None) -> dict[str, AttributeValue | None]:
        """Return the attributes of a request; `hop` is None if there were no redirects."""
        return {
            "url.full": hop.url if hop else self._request.url,
            "http.response.status_code": hop.status if hop else self._result.status,
            "user_agent.original": self._request.user_agent,
            "user_agent.synthetic.type": "test",
        }

    def _span(
        self,
        name: str,
        kind: int,
        *,
        number: int,
        parent: str | None,
        times: tuple[float, float],
        attributes: Mapping[str, AttributeValue | None] | None = None,
        failed: bool = False,
    ) -> dict[str, Any]:
        """Return a span. `times` are start and end (seconds) since the start of the run."""
        start, end = (str(self._start_ns + round(time * 1e9)) for time in times)
        span: dict[str, Any] = {
            "traceId": self._trace_id,
            "spanId": span_id(self._trace_id, number),
            "name": name,
            "kind": kind,
            "startTimeUnixNano": start,
            "endTimeUnixNano": end,
            "attributes": to_attributes(attributes or {}),
        }
        if parent:
            span["parentSpanId"] = parent
        if failed and self._result.failure:
            span["status"] = {"code": _STATUS_ERROR, "message": self._result.failure.detail}
        return span


def _phases(request: RequestSpans) -> Sequence[Span]:
    """Return the phases of a request, without the times that the server reports.

    It does not report when they were.
    """
    return [span for span in request.spans if not span.reported_by_server]
