"""Coordinates of the charts on the pages: latency over time, states, and waterfall of a result.

The templates draw them as SVG.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from probe.config.settings import Probe
from probe.history.half_hours import HalfHour
from probe.history.result_codec import ResultSummary
from probe.result import RedirectHop, Result, ResultKind, Signal, classify_result
from probe.serialization import Span, request_spans
from probe.server.summary import ProbeSummary

# Coordinates run from 0 to these; the template stretches them to the size of the chart.
WIDTH, HEIGHT = 1000, 100
# The failure marks take this part of HEIGHT, at the top.
FAILURE_LANE_HEIGHT = 14
# Height of a label, including the distance from its line.
LABEL_HEIGHT = 8
# The logarithmic latency axis covers at least this ratio of its longest to its shortest latency.
MIN_LATENCY_RANGE = 10.0
MIN_LATENCY_SECONDS = 1e-6

MIN_BAR_PERCENT = 0.5

# Minimum height of the failures and of the slow successes in a bar of HEIGHT.
MIN_BAR_PART_HEIGHT = 20
# Results in the status bars of a probe.
MAX_STATUS_BARS = 60


class LabelPosition(StrEnum):
    """Position of a label relative to its line."""

    ABOVE = "above"
    BELOW = "below"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusBars:
    """One bar for each of the last results, oldest first; `paths` are SVG paths by kind.

    The last bar is at the right end, at the coordinate MAX_STATUS_BARS.
    """

    paths: Mapping[ResultKind, str]
    counts: Mapping[ResultKind, int]
    """Number of results by kind, only of kinds that occur."""
    results: int
    seconds: float
    """Time from the start of the first to that of the last result."""


def status_bars(summary: ProbeSummary) -> StatusBars | None:
    """Return the status bars of a probe; None if there are no results."""
    results = summary.history.summaries(MAX_STATUS_BARS)
    if not results:
        return None
    thresholds = summary.probe.strictest_thresholds
    paths: dict[ResultKind, str] = {}
    counts = dict.fromkeys(ResultKind, 0)
    for index, result in enumerate(results, MAX_STATUS_BARS - len(results)):
        kind = classify_result(result, thresholds)
        paths[kind] = f"{paths.get(kind, '')}M{index}.5 0v1"
        counts[kind] += 1
    return StatusBars(
        paths=paths,
        counts={kind: count for kind, count in counts.items() if count},
        results=len(results),
        seconds=max(0.0, results[-1].started - results[0].started),
    )


def half_hour_bars(half_hours: Sequence[HalfHour]) -> dict[ResultKind, str]:
    """Return SVG paths of one stacked bar for each half hour with results: failures at the top.

    A half hour is 1 wide, and the bars are HEIGHT high.
    """
    paths: dict[ResultKind, str] = {}
    for index, half_hour in enumerate(half_hours):
        top = 0.0
        parts = ((ResultKind.FAILED, half_hour.failed), (ResultKind.SLOW, half_hour.slow))
        for kind, count in parts:
            if count:
                # One failure of thousands must be visible.
                height = max(MIN_BAR_PART_HEIGHT, HEIGHT * count / half_hour.total)
                height = min(height, HEIGHT - top)
                paths[kind] = f"{paths.get(kind, '')}M{index}.5 {top:.0f}v{height:.0f}"
                top += height
        if half_hour.good and top < HEIGHT:
            good = paths.get(ResultKind.GOOD, "")
            paths[ResultKind.GOOD] = f"{good}M{index}.5 {top:.0f}v{HEIGHT - top:.0f}"
    return paths


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

    paths: Mapping[ResultKind, str]
    objectives: tuple[Line, ...]
    grid: tuple[Line, ...]
    first: float
    last: float
    """Start of the first and the last result (Unix seconds)."""
    results: int
    failures: int


def latency_chart(summary: ProbeSummary) -> LatencyChart | None:
    """Return the chart of the recent results; None if there are no successes among them."""
    # The chart shows the latency. Thresholds of other signals would be lines at wrong heights.
    thresholds = summary.probe.thresholds(Signal.LATENCY)
    strictest = summary.probe.strictest_thresholds
    return _latency_chart(summary.history.summaries(), thresholds, strictest)


def first_token_chart(probe: Probe, results: Iterable[Result]) -> LatencyChart | None:
    """Return the chart of the times to the first token; None if no success has one."""
    thresholds = probe.thresholds(Signal.TIME_TO_FIRST_TOKEN)
    # The summaries have the time to the first token as latency.
    strictest = {Signal.LATENCY: thresholds[0]} if thresholds else {}
    return _latency_chart(list(_first_tokens(results)), thresholds, strictest)


def _first_tokens(results: Iterable[Result]) -> Iterator[ResultSummary]:
    """Yield the failures, and the successes with tokens, with the time to the first token."""
    for result in results:
        started = result.started.timestamp()
        if result.failure:
            yield ResultSummary(started, result.latency, result.failure.reason)
        elif result.counts and result.stream and result.stream.time_to_first_token is not None:
            yield ResultSummary(started, result.stream.time_to_first_token, None)


def _latency_chart(
    results: Sequence[ResultSummary],
    thresholds: Sequence[float],
    strictest: Mapping[Signal, float],
) -> LatencyChart | None:
    """Return the chart of `results` with a line for each threshold (seconds, ascending).

    Successes above one of the `strictest` thresholds are slow.
    """
    successes = [result for result in results if result.reason is None and not result.is_excluded]
    if not successes:
        return None
    kinds = _by_kind(results, strictest)
    time_axis = TimeAxis(
        min(result.started for result in results), max(result.started for result in results)
    )
    latency_axis = _latency_axis([result.latency for result in successes], thresholds)
    return LatencyChart(
        paths={
            ResultKind.GOOD: _dots(kinds[ResultKind.GOOD], time_axis, latency_axis),
            ResultKind.SLOW: _dots(kinds[ResultKind.SLOW], time_axis, latency_axis),
            ResultKind.FAILED: _marks(kinds[ResultKind.FAILED], time_axis),
            ResultKind.NOT_COUNTED: _marks(kinds[ResultKind.NOT_COUNTED], time_axis),
        },
        objectives=tuple(_objective_lines(thresholds, latency_axis)),
        grid=tuple(_grid_lines(thresholds, latency_axis)),
        first=time_axis.first,
        last=time_axis.last,
        results=len(results),
        failures=sum(result.reason is not None for result in results),
    )


def _by_kind(
    results: Sequence[ResultSummary], thresholds: Mapping[Signal, float]
) -> dict[ResultKind, list[ResultSummary]]:
    """Return the results of each kind. `thresholds` are the strictest ones of the objectives."""
    kinds: dict[ResultKind, list[ResultSummary]] = {kind: [] for kind in ResultKind}
    for result in results:
        kinds[classify_result(result, thresholds)].append(result)
    return kinds


@dataclass(frozen=True, slots=True)
class TimeAxis:
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
    shown = [max(seconds, MIN_LATENCY_SECONDS) for seconds in (*latencies, *thresholds)]
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


def _dots(results: Sequence[ResultSummary], times: TimeAxis, latencies: _LatencyAxis) -> str:
    """Return a path of zero-length lines: with round line caps each one is a dot."""
    return "".join(
        f"M{times.x(result.started):.0f} {latencies.y(result.latency):.1f}h0" for result in results
    )


def _marks(results: Sequence[ResultSummary], times: TimeAxis) -> str:
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
