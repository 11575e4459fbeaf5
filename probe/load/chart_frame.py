"""What the charts of a load test have in common: the axis of the rates, and vertical lines."""

from collections.abc import Callable
from dataclasses import dataclass

from probe.charts.axis import Axis
from probe.charts.canvas import LABEL_HEIGHT, LEFT, RIGHT, TOP, Tick, axis_ticks
from probe.formatting import format_rate
from probe.load.report import LoadReport, StepReport
from probe.load.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLine:
    """A vertical line at a rate, with a label above the chart. `kind` is `safe` or `missed`."""

    kind: str
    x: float
    label: str
    label_y: float
    anchor: str
    """The end of the label that is at the line: `start` or `end`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Ticks of both axes, the measured rates, and vertical lines."""

    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    rates: tuple[float, ...]
    """Coordinates of the measured rates."""
    lines: tuple[RateLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A value of a step. `title` describes it."""

    x: float
    y: float
    title: str
    verdict: Verdict
    interval: tuple[float, float] | None = None
    """Coordinates of the upper and the lower end of the interval."""


@dataclass(frozen=True, slots=True)
class RatePlane:
    """The steps that charts show, by rate, and the horizontal axis for their rates.

    Void steps say nothing about the endpoint, so no chart shows them.
    """

    report: LoadReport
    steps: tuple[StepReport, ...]
    x_axis: Axis

    @classmethod
    def of(cls, report: LoadReport) -> "RatePlane | None":
        """Return the plane for `report`; None if it has no steps to show."""
        shown = [step for step in report.steps if step.verdict is not Verdict.VOID and step.seconds]
        if not shown:
            return None
        steps = tuple(sorted(shown, key=lambda step: step.rate))
        return cls(report, steps, Axis.of([step.rate for step in steps], LEFT, RIGHT))

    @property
    def longest(self) -> tuple[StepReport, ...]:
        """For each rate, the step with most requests."""
        longest: dict[float, StepReport] = {}
        for step in self.steps:
            if step.rate not in longest or step.offered > longest[step.rate].offered:
                longest[step.rate] = step
        return tuple(longest.values())

    def x(self, step: StepReport) -> float:
        """Return the coordinate of the rate of `step`."""
        return self.x_axis.at(step.rate)

    def frame(self, y_axis: Axis, format_value: Callable[[float], str]) -> Frame:
        """Return the frame of a chart. `format_value` writes the values of `y_axis`."""
        return Frame(
            x_ticks=axis_ticks(self.x_axis, format_rate),
            y_ticks=axis_ticks(y_axis, format_value),
            rates=tuple(map(self.x, self.longest)),
            lines=tuple(self._lines()),
        )

    def _lines(self) -> list[RateLine]:
        """Return the lines of the safe and of the first missed rate, with labels in two rows."""
        report = self.report
        marked = []
        if report.confirmed:
            marked.append(("safe", "safe rate", report.confirmed.rate))
        if report.missed:
            marked.append(("missed", "first missed rate", report.missed.rate))
        return [
            RateLine(
                kind=kind,
                x=self.x_axis.at(rate),
                label=f"{name}: {format_rate(rate)}",
                label_y=TOP - 11 - row * LABEL_HEIGHT,
                anchor="end" if self.x_axis.at(rate) > (LEFT + RIGHT) / 2 else "start",
            )
            for row, (kind, name, rate) in enumerate(marked)
        ]


def describe_step(step: StepReport) -> str:
    """Return the rate and the verdict of a step: `29.4/s, met (confirmation)`."""
    confirmation = " (confirmation)" if step.is_confirmation else ""
    return f"{format_rate(step.rate)}, {step.verdict}{confirmation}"
