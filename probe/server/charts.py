"""Coordinates of the charts on the pages: latency over time, and the waterfall of a result.

The templates draw them as SVG.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from probe.history.history import ProbeHistory
from probe.history.result_codec import ResultSummary
from probe.result import RedirectHop, Result
from probe.serialization import Span, request_spans

# Coordinates run from 0 to these; the template stretches them to the size of the chart.
WIDTH, HEIGHT = 1000, 100
# The failure marks take this part of HEIGHT, at the top.
FAILURE_LANE_HEIGHT = 14
# Height of a label in a small chart, including the distance from its line.
LABEL_HEIGHT = 15
# The logarithmic latency axis covers at least this ratio of its longest to its shortest latency.
MIN_LATENCY_RANGE = 10.0
MIN_LATENCY_SECONDS = 1e-6

MIN_BAR_PERCENT = 0.5


class LabelPosition(StrEnum):
    """Position of a label relative to its line."""

    ABOVE = "above"
    BELOW = "below"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A horizontal line for a latency (`seconds`); `y` is 0 at the top and HEIGHT at the bottom.

    `label` is None if the labels of other lines leave no space for one.
    """

    y: float
    seconds: float
    label: LabelPosition | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyChart:
    """A chart of the last results: SVG paths of dots and marks, and horizontal lines."""

    good: str
    slow: str
    """Successes that were slower than the strictest objective."""
    failed: str
    not_counted: str
    """Failures that do not count against the SLO."""
    objectives: tuple[Line, ...]
    grid: tuple[Line, ...]
    first: float
    last: float
    """Start of the first and the last result (Unix seconds)."""
    results: int
    failures: int


def latency_chart(history: ProbeHistory, *, max_results: int) -> LatencyChart | None:
    """Return the chart of the last `max_results` results; None if there are no results."""
    results = history.summaries()[-max_results:]
    if not results:
        return None
    thresholds = sorted(
        {
            objective.latency
            for objective in history.probe.objectives
            if objective.latency is not None
        }
    )
    strictest = thresholds[0] if thresholds else math.inf
    successes = [result for result in results if result.reason is None]
    counted = [result for result in results if result.reason and result.reason.counts_against_slo]
    not_counted = [
        result for result in results if result.reason and not result.reason.counts_against_slo
    ]
    time_axis = _TimeAxis(
        min(result.started for result in results), max(result.started for result in results)
    )
    latency_axis = _latency_axis([result.latency for result in successes], thresholds)
    good = [result for result in successes if result.latency <= strictest]
    slow = [result for result in successes if result.latency > strictest]
    return LatencyChart(
        good=_dots(good, time_axis, latency_axis),
        slow=_dots(slow, time_axis, latency_axis),
        failed=_marks(counted, time_axis),
        not_counted=_marks(not_counted, time_axis),
        objectives=tuple(_objective_lines(thresholds, latency_axis)),
        grid=tuple(_grid_lines(thresholds, latency_axis)),
        first=time_axis.first,
        last=time_axis.last,
        results=len(results),
        failures=len(counted) + len(not_counted),
    )


@dataclass(frozen=True, slots=True)
class _TimeAxis:
    """Maps a time (Unix seconds) to an x coordinate."""

    first: float
    last: float

    def x(self, started: float) -> float:
        span = self.last - self.first
        return 8 + (WIDTH - 16) * ((started - self.first) / span if span else 1.0)


@dataclass(frozen=True, slots=True)
class _LatencyAxis:
    """Maps a latency (seconds) to a y coordinate, logarithmically.

    On a linear axis one slow response would flatten all others.
    """

    shortest: float
    longest: float

    def y(self, seconds: float) -> float:
        ratio = math.log(max(seconds, self.shortest) / self.shortest)
        height = ratio / math.log(self.longest / self.shortest)
        return HEIGHT - 4 - height * (HEIGHT - FAILURE_LANE_HEIGHT - 8)

    def decades(self) -> list[float]:
        """Return the powers of ten on the axis, such as 0.01 and 0.1."""
        first, last = math.ceil(math.log10(self.shortest)), math.floor(math.log10(self.longest))
        return [10.0**exponent for exponent in range(first, last + 1)]


def _latency_axis(latencies: Sequence[float], thresholds: Sequence[float]) -> _LatencyAxis:
    """Return an axis that covers all `latencies` and `thresholds`."""
    shown = [max(seconds, MIN_LATENCY_SECONDS) for seconds in (*latencies, *thresholds)] or [0.01]
    shortest, longest = min(shown) / 1.2, max(shown) * 1.2
    widening = max(1.0, math.sqrt(MIN_LATENCY_RANGE / (longest / shortest)))
    return _LatencyAxis(shortest / widening, longest * widening)


def _grid_lines(thresholds: Sequence[float], axis: _LatencyAxis) -> Iterator[Line]:
    """Yield a line for each power of ten, without its label if an objective's line crosses it."""
    for seconds in axis.decades():
        y = axis.y(seconds)
        crossed = any(y - LABEL_HEIGHT < axis.y(threshold) <= y for threshold in thresholds)
        yield Line(y=y, seconds=seconds, label=None if crossed else LabelPosition.ABOVE)


def _objective_lines(thresholds: Sequence[float], axis: _LatencyAxis) -> Iterator[Line]:
    """Yield a line for each threshold (ascending), from the top down.

    A label that does not fit above its line is placed below it, or omitted.
    """
    lines = [(axis.y(threshold), threshold) for threshold in reversed(thresholds)]
    occupied_until = 0.0
    for (y, seconds), (next_y, _) in pairwise([*lines, (HEIGHT, 0.0)]):
        label = None
        if y - LABEL_HEIGHT >= occupied_until:
            label = LabelPosition.ABOVE
        elif y + LABEL_HEIGHT <= next_y:
            label = LabelPosition.BELOW
        occupied_until = y + LABEL_HEIGHT if label is LabelPosition.BELOW else y
        yield Line(y=y, seconds=seconds, label=label)


def _dots(results: Sequence[ResultSummary], times: _TimeAxis, latencies: _LatencyAxis) -> str:
    """Return a path of zero-length lines: with round line caps each one is a dot."""
    return "".join(
        f"M{times.x(result.started):.0f} {latencies.y(result.latency):.1f}h0" for result in results
    )


def _marks(results: Sequence[ResultSummary], times: _TimeAxis) -> str:
    return "".join(
        f"M{times.x(result.started):.0f} 1v{FAILURE_LANE_HEIGHT - 2}" for result in results
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A bar of the waterfall: a span, its start and its width in percent of the latency."""

    span: Span
    start_percent: float
    width_percent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestBars:
    """The bars of one request; `hop` is None if there were no redirects."""

    hop: RedirectHop | None
    bars: tuple[Bar, ...]


def request_bars(result: Result) -> list[RequestBars]:
    """Return the bars of each request of a result, all on the same scale."""
    percent_per_second = 100 / result.latency if result.latency else 0.0
    return [
        RequestBars(
            hop=request.hop, bars=tuple(_bar(span, percent_per_second) for span in request.spans)
        )
        for request in request_spans(result)
    ]


def _bar(span: Span, percent_per_second: float) -> Bar:
    start = min(span.start * percent_per_second, 100 - MIN_BAR_PERCENT)
    width = min(max(span.seconds * percent_per_second, MIN_BAR_PERCENT), 100 - start)
    return Bar(span=span, start_percent=round(start, 2), width_percent=round(width, 2))
