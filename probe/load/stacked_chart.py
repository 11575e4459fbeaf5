"""Charts of stacked mean times over the rate in the HTML report of a load test."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from probe.charts.axis import Axis
from probe.charts.canvas import BOTTOM, TOP
from probe.formatting import format_seconds
from probe.load.chart_frame import Frame, Point, RatePlane, describe_step
from probe.load.report import StepReport
from probe.result import Component, Phase

MIN_BAR_WIDTH, MAX_BAR_WIDTH = 2.0, 22.0

# Space between two bars.
BAR_GAP = 1.0

# The chart shows times up to this multiple of the longest bar of a rate that meets the objectives.
MAX_BAR_RATIO = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A part of a bar. `kind` is the phase or component."""

    kind: str
    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StackedChart:
    """Bars of stacked mean times, one for each rate."""

    frame: Frame
    kinds: tuple[str, ...]
    """Phases or components, from the bottom up."""
    segments: tuple[Segment, ...]
    cut: tuple[Point, ...]
    """The upper ends of bars that are too long for the chart."""


def phases_chart(plane: RatePlane) -> StackedChart | None:
    """Return the chart of the mean phases; None if there are none."""
    times = [
        {str(phase): step.phases[phase] for phase in Phase if phase in step.phases}
        for step in plane.longest
    ]
    return _chart(plane, [str(phase) for phase in Phase], times)


def components_chart(plane: RatePlane) -> StackedChart | None:
    """Return the chart of the times that the server reported; None if there are none.

    The total is shown only if the server does not report its parts.
    """
    reported = {component for step in plane.longest for component in step.components}
    shown = reported - {Component.TOTAL} or reported
    times = [
        {str(part): seconds for part, seconds in step.components.items() if part in shown}
        for step in plane.longest
    ]
    return _chart(plane, [str(component) for component in Component], times)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bar:
    """The bar of a step: mean times (seconds) from the bottom up."""

    step: StepReport
    x: float
    width: float
    times: Mapping[str, float]

    @property
    def seconds(self) -> float:
        return sum(self.times.values())


def _chart(
    plane: RatePlane, kinds: Sequence[str], times: Sequence[Mapping[str, float]]
) -> StackedChart | None:
    """Return the chart of `times`: the seconds of each kind for each of the longest steps."""
    present = [kind for kind in kinds if any(kind in parts for parts in times)]
    positions = [plane.x(step) for step in plane.longest]
    bars = [
        _Bar(step=step, x=x, width=width, times={kind: parts.get(kind, 0.0) for kind in present})
        for step, x, width, parts in zip(
            plane.longest, positions, _bar_widths(positions), times, strict=True
        )
    ]
    highest = _highest(bars)
    if not highest:
        return None
    axis = Axis.from_zero(highest, BOTTOM, TOP)
    return StackedChart(
        frame=plane.frame(axis, format_seconds),
        kinds=tuple(present),
        segments=tuple(segment for bar in bars for segment in _segments(bar, axis)),
        cut=tuple(_cut_mark(bar) for bar in bars if bar.seconds > axis.high),
    )


def _highest(bars: Sequence[_Bar]) -> float:
    """Return the seconds that the chart has to show.

    Bars of an overloaded endpoint would make the others invisible.
    """
    usable = max((bar.seconds for bar in bars if bar.step.passed), default=0.0)
    longest = max(bar.seconds for bar in bars)
    return min(longest, MAX_BAR_RATIO * usable) if usable else longest


def _bar_widths(positions: Sequence[float]) -> list[float]:
    """Return the width of the bar at each of `positions`, which are in ascending order."""
    gaps = [math.inf, *(right - left for left, right in pairwise(positions)), math.inf]
    return [
        min(max(min(left, right) - BAR_GAP, MIN_BAR_WIDTH), MAX_BAR_WIDTH)
        for left, right in pairwise(gaps)
    ]


def _segments(bar: _Bar, axis: Axis) -> Iterator[Segment]:
    below = 0.0
    for kind, seconds in bar.times.items():
        bottom, top = axis.at(below), axis.at(below + seconds)
        below += seconds
        if bottom > top:
            yield Segment(
                kind=kind,
                x=bar.x - bar.width / 2,
                y=top,
                width=bar.width,
                height=bottom - top,
                title=f"{kind} at {describe_step(bar.step)}: {format_seconds(seconds)}",
            )


def _cut_mark(bar: _Bar) -> Point:
    title = f"{describe_step(bar.step)}: {format_seconds(bar.seconds)}, longer than the chart"
    return Point(x=bar.x, y=TOP, title=title, verdict=bar.step.verdict)
