"""Render results as text: the phases of each request as bars on one time axis, and its response."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from probe.cli.command import printable
from probe.config.settings import Objective, Tracing
from probe.result import (
    ClockSource,
    Excerpt,
    Reason,
    Result,
    Signal,
    StreamResult,
)
from probe.serialization import (
    count_text,
    request_spans,
    spending_summary,
    stream_summary,
    variant_summary,
)

# Width of the bar of a whole probe.
BAR_WIDTH_CHARS = 40

# A body with a larger share of unprintable characters is binary: an image, or a wrong encoding.
MAX_UNPRINTABLE_RATIO = 0.1

BLOCK, ASCII_BLOCK = "█", "#"


def render_waterfall(
    results: Iterable[Result],
    *,
    objectives: Mapping[str, Sequence[Objective]],
    now: datetime,
    encoding: str,
    tracing: Tracing,
) -> str:
    """Return the text of `results`, in characters that `encoding` has.

    `objectives` are those of each probe by its name. `now` is compared with the expiry of
    certificates. `tracing` has the link to traces.
    """
    block = _block_in(encoding)
    text = "\n\n".join(
        "\n".join(
            [
                *_lines(result, now, block),
                *_objective_lines(result, objectives[result.probe]),
                *_trace_lines(result, tracing),
                *_body_lines(result),
            ]
        )
        for result in results
    )
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _block_in(encoding: str) -> str:
    try:
        BLOCK.encode(encoding)
    except UnicodeEncodeError:
        return ASCII_BLOCK
    return BLOCK


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    """Maps seconds to columns. `total` (seconds) takes BAR_WIDTH_CHARS columns."""

    total: float
    block: str

    def bar(self, begin: float, seconds: float) -> str:
        """Return the bar of a phase that starts at `begin`; at least one column if it took time."""
        if seconds <= 0:
            return ""
        first = min(self.column(begin), BAR_WIDTH_CHARS - 1)
        return " " * first + self.block * max(1, self.column(begin + seconds) - first)

    def column(self, seconds: float) -> int:
        """Return the column at a time after the start of the probe."""
        return round(seconds / self.total * BAR_WIDTH_CHARS)


def _lines(result: Result, now: datetime, block: str) -> Iterator[str]:
    verdict = f"failed ({result.failure.reason})" if result.failure else "succeeded"
    status = f", status {result.status}" if result.status else ""
    yield f"{result.probe}: {verdict} after {result.latency * 1000:.1f} ms{status}"
    if result.failure:
        yield f"    {result.failure.detail}"
    yield from _request_lines(result, _Scale(total=result.latency, block=block))
    if result.stream:
        if result.latency:
            yield from _token_lines(result.stream, _Scale(total=result.latency, block=block))
        yield from _stream_lines(result.stream, _unfinished_gap(result))
    if result.cold:
        yield _text_row("cold start", "the response says that it waited for one")
    if variant := variant_summary(result):
        yield _text_row("variant", printable(variant))
    if result.spending:
        yield _text_row("spending", spending_summary(result.spending))
    if result.server_ignored:
        yield _text_row("server", f"{count_text(result.server_ignored, 'impossible time')} ignored")
    if result.phases:
        correction = _time_row("correction", result.correction)
        yield f"{correction}  delay of the interpreter, not in the latency"
        if result.clock != ClockSource.KERNEL:
            yield _text_row("clock", "times of the process, not of the kernel")
    if result.certificate_not_after is not None:
        expiry = datetime.fromtimestamp(result.certificate_not_after, UTC)
        yield _text_row("certificate", _expiry(expiry, now))


def _request_lines(result: Result, scale: _Scale) -> Iterator[str]:
    """Yield the lines of each request, below its URL if there were redirects."""
    for request in request_spans(result):
        if request.hop:
            status = f"status {request.hop.status}" if request.hop.status else "no response"
            yield f"    {request.hop.url}: {status}"
        for span in request.spans:
            if span.reported_by_server:  # a part of `wait`
                yield _time_row(f"  {span.name}", span.seconds)
            else:
                bar = scale.bar(span.start, span.seconds)
                yield f"{_time_row(span.name, span.seconds)}  {bar}".rstrip()


def _token_lines(stream: StreamResult, scale: _Scale) -> Iterator[str]:
    """Yield a line with a mark in each column in which tokens arrived, below the bars."""
    if stream.token_times:
        columns = {min(scale.column(time), BAR_WIDTH_CHARS - 1) for time in stream.token_times}
        first, last = min(columns), max(columns)
        marks = "".join("|" if n in columns else "." for n in range(first, last + 1))
        yield f"    {'tokens':<28}{' ' * first}{marks}"


def _unfinished_gap(result: Result) -> float | None:
    """Return the time from the last token to the deadline that ended a stream (seconds)."""
    timed_out = result.reason in (Reason.STALL_TIMEOUT, Reason.BODY_TIMEOUT)
    if not timed_out or result.stream is None or not result.stream.token_times:
        return None
    return result.latency - result.stream.token_times[-1]


def _stream_lines(stream: StreamResult, unfinished_gap: float | None) -> Iterator[str]:
    """Yield what a stream contained, and its times that are no phases."""
    yield _text_row("stream", printable(stream_summary(stream)))
    times = (
        ("first token after", stream.time_to_first_token),
        ("per token", stream.time_per_output_token),
        ("longest gap", stream.longest_gap),
        ("then no token for", unfinished_gap),
    )
    parts = [f"{name} {time * 1000:.3f} ms" for name, time in times if time is not None]
    if parts:
        yield _text_row("", ", ".join(parts))


def _objective_lines(result: Result, objectives: Sequence[Objective]) -> Iterator[str]:
    """Yield whether the result meets each objective."""
    for objective in objectives:
        yield _text_row("objective", f"{objective.name}: {_verdict(result, objective)}")


def _verdict(result: Result, objective: Objective) -> str:
    """Return whether a result is good for an objective."""
    if result.reason is not None:
        counts = result.reason.counts_against_slo
        return "missed, the request failed" if counts else "not counted"
    threshold, seconds = objective.threshold, result.seconds(objective.signal)
    if threshold is None:
        return "met"
    if seconds is None:
        return f"not counted, {objective.signal.words} unknown"
    # One decimal, unless it could make the time look equal to the threshold.
    decimals = 1 if abs(seconds - threshold) > 1e-4 else 6
    verdict, sign = ("met", "<=") if objective.is_good(result) else ("missed", ">")
    time, limit = f"{seconds * 1000:.{decimals}f}", f"{threshold * 1000:.10g}"
    name = "" if objective.signal is Signal.LATENCY else f"{objective.signal.words} "
    return f"{verdict}, {name}{time} ms {sign} {limit} ms"


def _trace_lines(result: Result, tracing: Tracing) -> Iterator[str]:
    """Yield the trace id, or the link to the trace, which has it."""
    if result.trace_id:
        yield _text_row("trace", tracing.url(result.trace_id) or result.trace_id)


def _body_lines(result: Result) -> Iterator[str]:
    """Yield the beginning of a failed response's body, or what is known if it is not text."""
    if result.failure and result.excerpt:
        yield from _excerpt_lines(result.excerpt, result.size)


def _excerpt_lines(excerpt: Excerpt, size: int) -> Iterator[str]:
    headers = {name.lower(): value for name, value in excerpt.headers.items()}
    media_type = printable(headers.get("content-type", "no Content-Type"))
    summary = f"{count_text(size, 'byte')}, {media_type}"
    text = excerpt.body
    if size and not text:
        yield _text_row("body", f"{summary}, cannot be decoded")
    elif _unprintable_ratio(text) > MAX_UNPRINTABLE_RATIO:
        yield _text_row("body", f"{summary}, not text")
    else:
        beginning = ", the beginning:" if excerpt.is_truncated else ""
        yield _text_row("body", f"{summary}{beginning}")
        for line in text.splitlines():
            yield f"      {printable(line)}".rstrip()


def _unprintable_ratio(text: str) -> float:
    """Return the share of characters that are not text. U+FFFD replaces invalid UTF-8."""
    unprintable = (not (char.isprintable() or char.isspace()) or char == "\ufffd" for char in text)
    return sum(unprintable) / max(1, len(text))


def _time_row(name: str, seconds: float) -> str:
    return f"    {name:<13}{seconds * 1000:10.3f} ms"


def _text_row(name: str, text: str) -> str:
    return f"    {name:<13} {text}"


def _expiry(expiry: datetime, now: datetime) -> str:
    if expiry <= now:
        return f"expired {expiry:%Y-%m-%d}, {_days(now - expiry)} ago"
    return f"expires {expiry:%Y-%m-%d}, in {_days(expiry - now)}"


def _days(age: timedelta) -> str:
    return count_text(age.days, "day")
