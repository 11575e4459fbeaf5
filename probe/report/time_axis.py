"""The horizontal axis of a period, and spans of time in its charts."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from probe.charts.axis import Axis
from probe.charts.canvas import LEFT, RIGHT, Tick
from probe.clock import DAY_SECONDS, HOUR_SECONDS
from probe.report.period import Period

MAX_TICKS = 9

# Distances of ticks (seconds).
_STEPS = [
    *(hours * HOUR_SECONDS for hours in (1, 2, 3, 6, 12)),
    *(days * DAY_SECONDS for days in (1, 2, 5, 10, 20, 50, 100, 200, 500)),
]

# A narrower span (as part of the width) is drawn with this width.
MIN_SPAN_WIDTH = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A span of time, as the left edge and the width of a rectangle."""

    x: float
    width: float
    title: str


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """Maps the time of a period (Unix seconds) to coordinates."""

    axis: Axis

    @classmethod
    def of(cls, period: Period) -> "TimeAxis":
        return cls(
            Axis(low=period.start, high=period.end, start=LEFT, end=RIGHT, is_logarithmic=False)
        )

    def x(self, time: float) -> float:
        return self.axis.at(time)

    def span(self, start: float, end: float, title: str) -> Span:
        x = self.x(start)
        return Span(x=x, width=max(MIN_SPAN_WIDTH, self.x(end) - x), title=title)

    def spans(self, intervals: Iterable[tuple[float, float]], title: str) -> tuple[Span, ...]:
        """Return the intervals that are visible, with the same title."""
        return tuple(
            self.span(start, end, title)
            for start, end in intervals
            if self.x(end) - self.x(start) >= MIN_SPAN_WIDTH
        )

    def ticks(self) -> tuple[Tick, ...]:
        return tuple(self._ticks())

    def _ticks(self) -> Iterator[Tick]:
        seconds = self.axis.high - self.axis.low
        step = next((step for step in _STEPS if seconds / step <= MAX_TICKS), _STEPS[-1])
        time = -(-self.axis.low // step) * step
        while time < self.axis.high:
            moment = datetime.fromtimestamp(time, UTC)
            is_day = step >= DAY_SECONDS or not time % DAY_SECONDS
            yield Tick(self.x(time), f"{moment:%b %d}" if is_day else f"{moment:%H:%M}")
            time += step
