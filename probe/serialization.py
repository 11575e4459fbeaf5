"""Results for output: as JSON, and as the spans of a waterfall.

The JSON fields are a contract with users, see docs/api.md.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from probe.clock import rfc3339
from probe.result import Component, Phase, RedirectHop, Result, Spending, StreamResult, TokenCounts

# Fields of Result that its JSON lacks. `final_hop` is only in the API, `request` only in traces,
# and the excerpt only for authenticated users and local clients.
_NOT_IN_JSON = {
    "server_ignored",
    "merged_reads",
    "merged_events",
    "excerpt",
    "final_hop",
    "request",
    "usage",
    "is_excluded",
    "token_times",
}
_JSON_NAMES = {"correction": "correction_seconds", "size": "bytes"}

# Fields of StreamResult whose names in JSON end with their unit.
_STREAM_JSON_NAMES = {
    name: f"{name}_seconds"
    for name in (
        "time_to_first_byte",
        "time_to_first_chunk",
        "time_to_first_token",
        "time_to_first_output_token",
        "time_per_output_token",
        "longest_gap",
    )
}


def result_json(result: Result) -> dict[str, Any]:
    """Return the JSON of a result: times in seconds, timestamps in RFC 3339."""
    failure = result.failure
    document = {
        "probe": result.probe,
        "success": failure is None,
        "reason": failure.reason if failure else None,
        "detail": failure.detail if failure else None,
        "status": result.status,
        "latency_seconds": rounded(result.latency),
    }
    for field in dataclasses.fields(result):
        if field.name not in _NOT_IN_JSON | {"failure"}:
            document[_JSON_NAMES.get(field.name, field.name)] = to_json(getattr(result, field.name))
    if result.certificate_not_after is not None:
        document["certificate_not_after"] = rfc3339(result.certificate_not_after)
    return document


def to_json(value: Any) -> Any:
    """Return the JSON value of a field of Result, or of a dataclass in it."""
    if isinstance(value, float):
        return rounded(value)
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [to_json(item) for item in value]
    if isinstance(value, (RedirectHop, Spending, StreamResult, TokenCounts)):
        names = _STREAM_JSON_NAMES if isinstance(value, StreamResult) else {}
        fields = (field.name for field in dataclasses.fields(value))
        return {
            names.get(name, name): to_json(getattr(value, name))
            for name in fields
            if name not in _NOT_IN_JSON
        }
    return value


def rounded(number: float) -> float:
    """Round to nanoseconds: a sum such as 0.15622784099999998 was measured as 0.156227841."""
    return round(number, 9)


def stream_summary(stream: StreamResult) -> str:
    """Return what a stream contained, such as "9 tokens in 12 chunks, 81.2 tokens/s"."""
    tokens, seconds = stream.tokens.output, stream.time_per_output_token
    cached, prompt_tokens = stream.tokens.cached, stream.tokens.input
    chunks = count_text(stream.chunks, "chunk")
    if tokens is None:
        text = f"{chunks}, number of tokens not reported"
    else:
        text = f"{count_text(tokens, 'token')} in {chunks}"
    if seconds:
        text += f", {1 / seconds:.1f} tokens/s"
    if cached:
        of = "" if prompt_tokens is None else f" of {prompt_tokens:,}"
        text += f", {cached:,}{of} prompt tokens cached"
    if stream.finish_reason:
        text += f", finish reason {stream.finish_reason}"
    return text


def variant_summary(result: Result) -> str:
    """Return payload and origin of a response, such as "payload short, version 3, segment blue"."""
    names = ("payload", "version", "segment")
    return ", ".join(f"{name} {value}" for name in names if (value := getattr(result, name)))


def spending_summary(spending: Spending) -> str:
    """Return what a request took, such as "7 (3 cached) + 4 tokens, 0.0000035 USD"."""
    cached = f" ({spending.cached:,} cached)" if spending.cached else ""
    text = f"{spending.input:,}{cached} + {spending.output:,} tokens"
    if spending.estimated:
        text += " (estimated)"
    if spending.cost is not None:
        text += f", {format_money(spending.cost)} {spending.currency}"
    return text


def format_money(amount: float | Decimal) -> str:
    """Return an amount of money in decimals: "1,234.56", "0.50", "0.0000035".

    It has two decimals, and below 1 as many as three significant digits need.
    """
    text = f"{Decimal(f'{amount:.3g}'):f}" if amount < 1 else f"{amount:.2f}"
    whole, _, decimals = text.partition(".")
    return f"{int(whole):,}.{decimals:0<2}"


def count_text(number: int, noun: str) -> str:
    """Return "1 chunk" or "2 chunks"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A phase of a request, or a part of `wait` that the server reports (seconds).

    `start` is relative to the start of the first request.
    """

    name: str
    start: float
    seconds: float
    reported_by_server: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSpans:
    """The spans of one request; `hop` is None if there were no redirects."""

    hop: RedirectHop | None
    spans: tuple[Span, ...]


def request_spans(result: Result) -> list[RequestSpans]:
    """Return the spans of each request of a result, in order: one, or the redirect chain."""
    if not result.final_hop:
        spans = _spans(result.phases, 0.0, result.server)
        return [RequestSpans(hop=None, spans=tuple(spans))]
    requests: list[RequestSpans] = []
    start = 0.0
    for hop in (*result.hops, result.final_hop):
        server = result.server if hop is result.final_hop else {}
        requests.append(RequestSpans(hop=hop, spans=tuple(_spans(hop.phases, start, server))))
        start += sum(hop.phases.values())
    return requests


def _spans(
    phases: Mapping[Phase, float], start: float, server: Mapping[Component, float]
) -> Iterator[Span]:
    for phase in Phase:
        if phase in phases:
            yield Span(name=phase, start=start, seconds=phases[phase])
            if phase is Phase.WAIT:
                yield from _server_spans(server, start)
            start += phases[phase]


def _server_spans(server: Mapping[Component, float], wait_start: float) -> Iterator[Span]:
    """Yield the server's times one after another, from the start of `wait`.

    The server does not report when they were.
    """
    start = wait_start
    for component in Component:
        if component in server:
            seconds = server[component]
            yield Span(
                name=component,
                start=wait_start if component is Component.TOTAL else start,
                seconds=seconds,
                reported_by_server=True,
            )
            start += seconds
