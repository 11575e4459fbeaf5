"""Results for people: the phases of each request as bars over time, each where the last ended."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from probe.result import Component, Phase, RedirectHop, Result

BAR_WIDTH_CHARS = 40
"""Columns that the whole of a probe takes."""

BLOCK, PLAIN = "█", "#"


def render_waterfall(results: Iterable[Result], *, now: datetime, encoding: str) -> str:
    """What to print where text has this encoding; `now` tells what certificates have left."""
    bar = _bar_in(encoding)
    told = "\n\n".join("\n".join(_lines(result, now, bar)) for result in results)
    return told.encode(encoding, "backslashreplace").decode(encoding)


def _bar_in(encoding: str) -> str:
    try:
        BLOCK.encode(encoding)
    except UnicodeEncodeError:
        return PLAIN
    return BLOCK


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    """Columns for seconds, of which there are so many in all."""

    total: float
    bar: str

    def draw(self, begin: float, seconds: float) -> str:
        """A bar from here, so long: of what took any time at all something is seen."""
        if seconds <= 0:
            return ""
        first = min(self._column(begin), BAR_WIDTH_CHARS - 1)
        return " " * first + self.bar * max(1, self._column(begin + seconds) - first)

    def _column(self, seconds: float) -> int:
        return round(seconds / self.total * BAR_WIDTH_CHARS)


def _lines(result: Result, now: datetime, bar: str) -> Iterator[str]:
    verdict = f"failed ({result.failure.reason})" if result.failure else "succeeded"
    status = f", status {result.status}" if result.status else ""
    yield f"{result.probe}: {verdict} after {result.latency * 1000:.1f} ms{status}"
    if result.failure:
        yield f"    {result.failure.detail}"
    yield from _requests(result, _Scale(total=result.latency, bar=bar))
    if result.server_ignored:
        yield _note("server", f"told {_count(result.server_ignored, 'time')} that made no sense")
    if result.phases:
        yield f"{_row('correction', result.correction)}  not in the latency: the interpreter's"
        if result.clock != "kernel":
            yield _note("clock", "the process's own, not the kernel's")
    if result.certificate_not_after is not None:
        expiry = datetime.fromtimestamp(result.certificate_not_after, UTC)
        yield _note("certificate", _left(expiry, now))


def _requests(result: Result, scale: _Scale) -> Iterator[str]:
    """The bars of the request, or of each in a chain of redirects below its URL."""
    if not result.landing:
        yield from _bars(result.phases, 0.0, scale, result.server)
        return
    begin = 0.0
    for hop in result.hops:
        yield _named(hop)
        yield from _bars(hop.phases, begin, scale, {})
        begin += sum(hop.phases.values())
    yield _named(result.landing)
    yield from _bars(result.landing.phases, begin, scale, result.server)


def _named(hop: RedirectHop) -> str:
    return f"    {hop.url}: {f'status {hop.status}' if hop.status else 'no answer'}"


def _bars(
    phases: Mapping[Phase, float], begin: float, scale: _Scale, server: Mapping[Component, float]
) -> Iterator[str]:
    """A line for each phase that happened; what the server says of itself is a part of `wait`."""
    for phase in Phase:
        if phase not in phases:
            continue
        seconds = phases[phase]
        yield f"{_row(phase, seconds)}  {scale.draw(begin, seconds)}".rstrip()
        begin += seconds
        if phase is Phase.WAIT:
            told = (one for one in Component if one in server)
            yield from (_row(f"  {one}", server[one]) for one in told)


def _row(name: str, seconds: float) -> str:
    return f"    {name:<13}{seconds * 1000:10.3f} ms"


def _note(name: str, words: str) -> str:
    return f"    {name:<13} {words}"


def _left(expiry: datetime, now: datetime) -> str:
    if expiry <= now:
        return f"expired {expiry:%Y-%m-%d}, {_days(now - expiry)} ago"
    return f"expires {expiry:%Y-%m-%d}, in {_days(expiry - now)}"


def _days(time: timedelta) -> str:
    return _count(time.days, "day")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
