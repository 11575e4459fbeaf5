"""The chart of latency percentiles over the rate in the HTML report of a load test."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from probe.charts.axis import Axis
from probe.charts.canvas import BOTTOM, LABEL_HEIGHT, TOP, line_path
from probe.formatting import format_seconds
from probe.load.chart_frame import Frame, Point, RatePlane, describe_step
from probe.load.formatting import format_interval, format_quantile
from probe.load.objective import LoadObjective
from probe.load.report import StepReport
from probe.load.statistics import Quantile
from probe.result import Signal

# The logarithmic axis of latencies covers at least this ratio.
MIN_LATENCY_RATIO = 10.0

# The percentiles of a step are drawn side by side, because their intervals may overlap.
SERIES_OFFSET = 4.0

# Space at the upper edge for percentiles of failed requests.
FAILED_HEIGHT = 12.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Points of one percentile, and the path of a line through the longest step of each rate."""

    name: str
    path: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class ThresholdLine:
    """A horizontal line for objectives. `label_y` is None if there is no space for the label."""

    y: float
    label: str
    label_y: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyChart:
    """Percentiles of the latency over the rate."""

    frame: Frame
    series: tuple[Series, ...]
    thresholds: tuple[ThresholdLine, ...]
    failed_y: float | None
    """Coordinate of percentiles of failed requests. None if there are none."""


def latency_chart(plane: RatePlane) -> LatencyChart | None:
    """Return the chart of the percentiles; None if no step has enough requests for one."""
    quantiles = [quantile for step in plane.steps for quantile in _quantiles(step).values()]
    if not quantiles:
        return None
    ends = [end for quantile in quantiles for end in (quantile.lower, quantile.upper)]
    labels = _threshold_labels(plane.report.objectives)
    has_failures = any(map(math.isinf, ends))
    axis = _latency_axis([*filter(math.isfinite, ends), *labels], has_failures=has_failures)
    series = (
        _series(plane, axis, name, offset)
        for name, offset in (("p50", -SERIES_OFFSET), ("p95", 0.0), ("p99", SERIES_OFFSET))
    )
    return LatencyChart(
        frame=plane.frame(axis, format_seconds),
        series=tuple(part for part in series if part.points),
        thresholds=tuple(_threshold_lines(labels, axis)),
        failed_y=TOP if has_failures else None,
    )


def _quantiles(step: StepReport) -> dict[str, Quantile]:
    """Return the percentiles of a step that are known, by name."""
    quantiles = {"p50": step.p50, "p95": step.p95, "p99": step.p99}
    return {name: quantile for name, quantile in quantiles.items() if quantile}


def _threshold_labels(objectives: Sequence[LoadObjective]) -> dict[float, str]:
    """Return the objectives for the latency as text, by threshold in ascending order."""
    labels: dict[float, list[str]] = {}
    for objective in objectives:
        if objective.signal is Signal.LATENCY and objective.threshold_seconds is not None:
            labels.setdefault(objective.threshold_seconds, []).append(objective.text)
    return {seconds: ", ".join(labels[seconds]) for seconds in sorted(labels)}


def _latency_axis(values: Sequence[float], *, has_failures: bool) -> Axis:
    """Return a logarithmic axis for latencies. Values above its end are at TOP."""
    low, high = (min(values), max(values)) if values else (0.1, 1.0)
    widening = max(1.0, math.sqrt(MIN_LATENCY_RATIO * low / high))
    top = TOP + FAILED_HEIGHT if has_failures else TOP
    return Axis.of([low / widening, high * widening], BOTTOM, top)


def _series(plane: RatePlane, axis: Axis, name: str, offset: float) -> Series:
    def point(step: StepReport) -> Point | None:
        quantile = _quantiles(step).get(name)
        return _point(step, quantile, name, plane.x(step) + offset, axis) if quantile else None

    return Series(
        name=name,
        path=line_path([point(step) for step in plane.longest]),
        points=tuple(filter(None, map(point, plane.steps))),
    )


def _point(step: StepReport, quantile: Quantile, name: str, x: float, axis: Axis) -> Point:
    return Point(
        x=x,
        y=_latency_y(quantile.seconds, axis),
        interval=(_latency_y(quantile.upper, axis), _latency_y(quantile.lower, axis)),
        title=f"{name} at {describe_step(step)}: {format_quantile(quantile)}"
        f" ({format_interval(quantile)})",
        verdict=step.verdict,
    )


def _latency_y(seconds: float, axis: Axis) -> float:
    return axis.at(seconds) if math.isfinite(seconds) else TOP


def _threshold_lines(labels: dict[float, str], axis: Axis) -> Iterator[ThresholdLine]:
    """Yield a line for each threshold from the top down, with a label above or below it."""
    lines = [(axis.at(seconds), label) for seconds, label in reversed(labels.items())]
    occupied_until = float(TOP)
    for (y, label), (next_y, _) in pairwise([*lines, (float(BOTTOM), "")]):
        label_y = None
        if y - LABEL_HEIGHT >= occupied_until:
            label_y = y - 4
        elif y + LABEL_HEIGHT <= next_y:
            label_y = y + LABEL_HEIGHT - 3
        occupied_until = y if label_y is None else max(y, label_y)
        yield ThresholdLine(y, label, label_y)
