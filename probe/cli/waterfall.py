"""Render results as text: the phases of each request as bars on one time axis."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from probe.result import ClockSource, Result
from probe.serialization import request_spans

# Width of the bar of a whole probe.
BAR_WIDTH_CHARS = 40

BLOCK, ASCII_BLOCK = "█", "#"


def render_waterfall(results: Iterable[Result], *, now: datetime, encoding: str) -> str:
    """Return the text of `results`, in characters that `encoding` has.

    `now` is compared with the expiry of certificates.
    """
    block = _block_in(encoding)
    text = "\n\n".join("\n".join(_lines(result, now, block)) for result in results)
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
        first = min(self._column(begin), BAR_WIDTH_CHARS - 1)
        return " " * first + self.block * max(1, self._column(begin + seconds) - first)

    def _column(self, seconds: float) -> int:
        return round(seconds / self.total * BAR_WIDTH_CHARS)


def _lines(result: Result, now: datetime, block: str) -> Iterator[str]:
    verdict = f"failed ({result.failure.reason})" if result.failure else "succeeded"
    status = f", status {result.status}" if result.status else ""
    yield f"{result.probe}: {verdict} after {result.latency * 1000:.1f} ms{status}"
    if result.failure:
        yield f"    {result.failure.detail}"
    yield from _request_lines(result, _Scale(total=result.latency, block=block))
    if result.server_ignored:
        yield _note("server", f"{_count(result.server_ignored, 'impossible time')} ignored")
    if result.phases:
        correction = _row("correction", result.correction)
        yield f"{correction}  delay of the interpreter, not in the latency"
        if result.clock != ClockSource.KERNEL:
            yield _note("clock", "times of the process, not of the kernel")
    if result.certificate_not_after is not None:
        expiry = datetime.fromtimestamp(result.certificate_not_after, UTC)
        yield _note("certificate", _expiry(expiry, now))


def _request_lines(result: Result, scale: _Scale) -> Iterator[str]:
    """Yield the lines of each request, below its URL if there were redirects."""
    for request in request_spans(result):
        if request.hop:
            status = f"status {request.hop.status}" if request.hop.status else "no response"
            yield f"    {request.hop.url}: {status}"
        for span in request.spans:
            if span.reported_by_server:  # a part of `wait`
                yield _row(f"  {span.name}", span.seconds)
            else:
                bar = scale.bar(span.start, span.seconds)
                yield f"{_row(span.name, span.seconds)}  {bar}".rstrip()


def _row(name: str, seconds: float) -> str:
    return f"    {name:<13}{seconds * 1000:10.3f} ms"


def _note(name: str, text: str) -> str:
    return f"    {name:<13} {text}"


def _expiry(expiry: datetime, now: datetime) -> str:
    if expiry <= now:
        return f"expired {expiry:%Y-%m-%d}, {_days(now - expiry)} ago"
    return f"expires {expiry:%Y-%m-%d}, in {_days(expiry - now)}"


def _days(age: timedelta) -> str:
    return _count(age.days, "day")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
