"""The chart of the throughput over the rate in the HTML report of a load test."""

from dataclasses import dataclass

from probe.charts.axis import Axis
from probe.charts.canvas import BOTTOM, TOP, line_path
from probe.formatting import format_rate
from probe.load.chart_frame import Frame, Point, RatePlane, describe_step
from probe.load.report import StepReport


@dataclass(frozen=True, slots=True, kw_only=True)
class ThroughputChart:
    """Results per second over requests per second. Both axes have the same scale."""

    frame: Frame
    diagonal: str
    """Path of the line on which each request has a result."""
    path: str
    """Path of a line through the longest step of each rate."""
    points: tuple[Point, ...]


def throughput_chart(plane: RatePlane) -> ThroughputChart:
    """Return the chart of the throughput."""
    x_axis = plane.x_axis
    axis = Axis(
        low=x_axis.low,
        high=x_axis.high,
        start=BOTTOM,
        end=TOP,
        is_logarithmic=x_axis.is_logarithmic,
    )
    return ThroughputChart(
        frame=plane.frame(axis, format_rate),
        diagonal=f"M{x_axis.start} {axis.start}L{x_axis.end} {axis.end}",
        path=line_path([_point(plane, step, axis) for step in plane.longest]),
        points=tuple(_point(plane, step, axis) for step in plane.steps),
    )


def _point(plane: RatePlane, step: StepReport, axis: Axis) -> Point:
    title = f"{describe_step(step)}: {format_rate(step.throughput)} completed"
    return Point(x=plane.x(step), y=axis.at(step.throughput), title=title, verdict=step.verdict)
