"""Charts of one objective over the period: the error budget left, and the share of bad requests."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from probe.charts.axis import Axis
from probe.charts.canvas import BOTTOM, RIGHT, TOP, Tick, axis_ticks, line_path
from probe.clock import DAY_SECONDS, HOUR_SECONDS
from probe.config.units import format_percentage
from probe.formatting import format_elapsed, format_time
from probe.report.coverage import Coverage
from probe.report.objective_counts import Events
from probe.report.period import Period
from probe.report.report import ObjectiveReport
from probe.report.time_axis import Span, TimeAxis
from probe.report.wording import format_counts

# The bars of a period of at least this time are days, otherwise hours.
MIN_DAYS_SECONDS = 4 * DAY_SECONDS

# The lowest budget in the chart: spent four times. A lower one would hide all else.
MIN_BUDGET = -3.0

# Space between two bars.
BAR_GAP = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Ticks of both axes, and times without data."""

    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    absences: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a line."""

    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetChart:
    """The share of the error budget that is left, over time."""

    frame: Frame
    path: str
    zero_y: float
    incidents: tuple[Span, ...]
    is_cut: bool
    """Whether the line goes below the chart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """The share of bad requests in a day or an hour."""

    x: float
    y: float
    width: float
    height: float
    is_above: bool
    """Whether the share is above the allowed one."""
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BadShareChart:
    """The share of bad requests of each day or hour."""

    frame: Frame
    bars: tuple[Bar, ...]
    allowed_y: float
    allowed: str
    unit: str
    """`day` or `hour`."""


def budget_chart(
    objective: ObjectiveReport, coverage: Coverage, period: Period
) -> BudgetChart | None:
    """Return the chart of the budget of the whole period; None without a budget."""
    allowed = objective.budget.allowed
    if not allowed:
        return None
    time_axis = TimeAxis.of(period)
    left, levels = 1.0, [(objective.start, 1.0)]
    for start in sorted(objective.hours):
        left -= objective.hours[start].bad / allowed
        levels.append((min(start + HOUR_SECONDS, period.end), left))
    lowest = min(level for _, level in levels)
    low = max(min(0.0, lowest), MIN_BUDGET)
    axis = Axis(low=low - 0.04 * (1 - low), high=1.0, start=BOTTOM, end=TOP, is_logarithmic=False)
    return BudgetChart(
        frame=_frame(time_axis, axis, coverage, period),
        path=line_path([Point(time_axis.x(time), axis.at(level)) for time, level in levels]),
        zero_y=axis.at(0.0),
        incidents=tuple(
            time_axis.span(
                item.incident.start,
                item.incident.end,
                f"{format_time(item.incident.start)}, {format_elapsed(item.incident.seconds)}:"
                f" {format_counts(item.incident.reasons)}",
            )
            for item in objective.incidents
        ),
        is_cut=lowest < MIN_BUDGET,
    )


def bad_share_chart(
    objective: ObjectiveReport, coverage: Coverage, period: Period
) -> BadShareChart | None:
    """Return the chart of the bad requests; None without requests."""
    if not objective.events.total:
        return None
    has_days = period.seconds >= MIN_DAYS_SECONDS
    seconds = DAY_SECONDS if has_days else HOUR_SECONDS
    groups = _groups(objective.hours, seconds)
    allowed = round(1 - objective.target, 12)
    highest = max(events.bad / events.total for events in groups.values())
    axis = Axis.from_zero(max(highest, 1.5 * allowed), BOTTOM, TOP)
    time_axis = TimeAxis.of(period)
    return BadShareChart(
        frame=_frame(time_axis, axis, coverage, period),
        bars=tuple(_bars(groups, seconds, allowed, time_axis, axis)),
        allowed_y=axis.at(allowed),
        allowed=f"allowed: {format_percentage(allowed)}",
        unit="day" if has_days else "hour",
    )


def _frame(time_axis: TimeAxis, axis: Axis, coverage: Coverage, period: Period) -> Frame:
    absences: Sequence[tuple[float, float]] = [
        (period.start, coverage.start),
        *coverage.absences,
        (coverage.end, period.end),
    ]
    return Frame(
        x_ticks=time_axis.ticks(),
        y_ticks=axis_ticks(axis, lambda share: f"{share * 100:.4g} %".replace("-", "−")),
        absences=time_axis.spans(absences, "not measured"),
    )


def _groups(hours: Mapping[float, Events], seconds: float) -> dict[float, Events]:
    """Return the sums of `hours` by the start of each day or hour."""
    groups: dict[float, Events] = {}
    for start, events in sorted(hours.items()):
        group = groups.setdefault(start // seconds * seconds, Events())
        group.add(events.good, events.bad)
    return groups


def _bars(
    groups: Mapping[float, Events],
    seconds: float,
    allowed: float,
    time_axis: TimeAxis,
    axis: Axis,
) -> Iterator[Bar]:
    for start, events in groups.items():
        share = events.bad / events.total
        left, right = time_axis.x(start), min(time_axis.x(start + seconds), RIGHT)
        name = format_time(start)[: 10 if seconds == DAY_SECONDS else 16]
        yield Bar(
            x=left + BAR_GAP / 2,
            y=axis.at(share),
            width=max(0.5, right - left - BAR_GAP),
            height=BOTTOM - axis.at(share),
            is_above=share > allowed + 1e-12,
            title=f"{name}: {share * 100:.3g} % bad, {events.bad:,} of {events.total:,}",
        )
