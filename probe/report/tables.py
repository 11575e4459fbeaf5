"""The tables of a report, for all formats that are read by people."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from probe.formatting import (
    format_elapsed,
    format_latency,
    format_seconds,
    format_threshold,
    format_time,
)
from probe.report.attainment import worst_hours
from probe.report.coverage import Coverage
from probe.report.report import ObjectiveReport, ProbeReport, SlaReport
from probe.report.time_quantiles import RANKS, TimeQuantiles
from probe.report.wording import (
    STATUS_TEXTS,
    WORST_HOURS,
    describe_objective,
    format_counts,
    format_interval,
    format_minutes,
    format_pages,
    format_percentage,
    probe_name,
)

# A cell without a value.
NONE = "-"


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts. Columns from `first_number` on have numbers."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    first_number: int = 1


def objectives_table(report: SlaReport) -> Table:
    """Return a row for each objective."""
    columns = [
        *("Probe", "Objective", "Requires", "Status", "Attainment", "95 % interval"),
        *("Good", "Bad", "Budget (events)", "Used", "Left", "Minutes left"),
    ]
    if report.previous_period:
        columns += ["Previous attainment", "Previous bad", "Previous status"]
    rows = [[*_objective_row(item, report), *_previous(item, report)] for item in report.objectives]
    return Table(columns, rows, first_number=4)


def _objective_row(objective: ObjectiveReport, report: SlaReport) -> Iterator[str]:
    budget, target = objective.budget, objective.target
    yield probe_name(objective.group, report)
    yield objective.key.slo
    yield describe_objective(objective.key, target) + _times_in_effect(objective)
    yield STATUS_TEXTS[objective.status]
    attainment = objective.attainment
    yield NONE if attainment is None else format_percentage(attainment, target=target)
    yield format_interval(objective)
    yield f"{objective.events.good:,}"
    yield f"{objective.events.bad:,}"
    yield f"{budget.allowed:,.1f}"
    yield NONE if budget.ratio_left is None else f"{(1 - budget.ratio_left) * 100:.0f} %"
    yield f"{budget.left:,.1f}".replace("-", "−")
    yield format_minutes(budget.minutes_left)


def _previous(objective: ObjectiveReport, report: SlaReport) -> Iterator[str]:
    if report.previous_period is None:
        return
    previous = objective.previous
    if previous is None:
        yield from (NONE, NONE, NONE)
        return
    yield format_percentage(previous.attainment, target=objective.target)
    yield f"{previous.events.bad:,}"
    yield STATUS_TEXTS[previous.status]


def incidents_table(objective: ObjectiveReport) -> Table:
    """Return a row for each incident of an objective."""
    return Table(
        ("From", "To", "Duration", "Bad", "Reasons", "Pages"),
        [
            (
                format_time(item.incident.start),
                format_time(item.incident.end),
                format_elapsed(item.incident.seconds),
                f"{item.incident.bad:,}",
                format_counts(item.incident.reasons),
                format_pages(item.pages) or "none",
            )
            for item in objective.incidents
        ],
        first_number=6,
    )


def hours_table(objective: ObjectiveReport) -> Table:
    """Return the worst hours of an objective."""
    return Table(
        ("Hour", "Bad", "Good", "Bad share"),
        [
            (
                format_time(start)[:16],
                f"{events.bad:,}",
                f"{events.good:,}",
                f"{events.bad / events.total * 100:.3g} %",
            )
            for start, events in worst_hours(objective.hours, WORST_HOURS)
        ],
    )


def coverage_table(report: SlaReport) -> Table:
    """Return a row for each probe, and one for each of its replicas if there are several."""
    rows = []
    for probe in report.probes:
        if coverage := probe.coverage:
            rows.append(_coverage_row(probe_name(probe.group, report), coverage))
            if len(coverage.replicas) > 1:
                rows += _replica_rows(coverage)
    columns = ("Probe", "From", "To", "Expected", "Due", "Run", "Skipped", "Restarts", "Absent")
    return Table(columns, rows, first_number=3)


def _coverage_row(name: str, coverage: Coverage) -> tuple[str, ...]:
    return (
        name,
        format_time(coverage.start)[:16],
        format_time(coverage.end)[:16],
        f"{coverage.expected:,.0f}",
        f"{coverage.due:,}",
        f"{coverage.run:,}",
        format_counts(coverage.skipped) or "0",
        str(sum(replica.restarts for replica in coverage.replicas)),
        format_elapsed(coverage.absent_seconds),
    )


def _replica_rows(coverage: Coverage) -> Iterator[tuple[str, ...]]:
    for replica in coverage.replicas:
        labels = dict(replica.replica)
        yield (
            f"· {labels.get('pod') or labels.get('instance') or 'replica'}",
            format_time(replica.start)[:16],
            format_time(replica.end)[:16],
            f"{replica.expected:,.0f}",
            f"{replica.due:,}",
            f"{replica.run:,}",
            format_counts(replica.skipped) or "0",
            str(replica.restarts),
            format_elapsed(replica.absent_seconds),
        )


def excluded_table(report: SlaReport) -> Table:
    """Return the runs that no objective counts, and the attainment if they had been bad."""
    rows = [
        (
            probe_name(probe.group, report),
            item.cause,
            f"{item.runs:,}",
            format_elapsed(item.seconds),
            _if_bad(probe, item.cause) or NONE,
        )
        for probe in report.probes
        if probe.coverage
        for item in probe.coverage.excluded
        if item.runs
    ]
    columns = ("Probe", "Cause", "Runs", "Time", "Attainment if they had been bad")
    return Table(columns, rows, first_number=2)


def _if_bad(probe: ProbeReport, cause: str) -> str:
    return ", ".join(
        f"{objective.key.slo}: "
        + format_percentage(objective.if_excluded_were_bad[cause], target=objective.target)
        for objective in probe.objectives
        if objective.is_current and cause in objective.if_excluded_were_bad
    )


def times_table(report: SlaReport) -> Table:
    """Return the quantiles of latency, signals and phases of each probe."""
    columns = ["Probe", "Time", "Successes", *(f"p{rank * 100:g}" for rank in RANKS)]
    if report.previous_period:
        columns.append("Previous p95")
    rows = []
    for probe in report.probes:
        for name, times in probe.times.items():
            row = [probe_name(probe.group, report), name.replace("_", " "), *_quantiles(times)]
            if report.previous_period:
                previous = probe.previous_times.get(name)
                row.append(_quantile(previous, 0.95) if previous else NONE)
            rows.append(row)
    return Table(columns, rows, first_number=2)


def _quantiles(times: TimeQuantiles | None) -> Iterator[str]:
    if times is None:
        yield from [NONE] * (len(RANKS) + 1)
        return
    yield f"{times.successes:,}"
    yield from (_quantile(times, rank) for rank in RANKS)


def _quantile(times: TimeQuantiles, rank: float) -> str:
    seconds = times.quantiles[rank]
    if seconds < times.first_bound:
        return f"< {format_seconds(times.first_bound)}"
    return format_seconds(seconds)


def phases_table(report: SlaReport) -> Table:
    """Return the means of the phases at the end of the period, and earlier."""
    rows = []
    for probe in report.probes:
        if comparisons := probe.phase_comparisons:
            name, hour = probe_name(probe.group, report), format_time(comparisons.end)[:16]
            for item in comparisons.phases:
                usual = _earlier_mean(item.recent, item.usual)
                four_weeks_ago = _earlier_mean(item.recent, item.four_weeks_ago)
                mean = format_latency(item.recent)
                rows.append((name, item.phase, hour, mean, *usual, *four_weeks_ago))
    columns = ("Probe", "Phase", "Hour until", "Mean", "Usual", "Ratio", "4 weeks ago", "Ratio")
    return Table(columns, rows, first_number=3)


def _earlier_mean(recent: float, earlier: float | None) -> tuple[str, str]:
    if earlier is None:
        return NONE, NONE
    return format_latency(earlier), f"{recent / earlier:,.2f}"


def dimensions_table(report: SlaReport) -> Table:
    """Return a row for each version, segment and payload."""
    rows = []
    for probe in report.probes:
        for item in probe.dimensions:
            within = (
                f"{format_threshold(threshold)}: {events.good / events.total * 100:.2f} %"
                for threshold, events in item.within.items()
                if events.total
            )
            name = probe_name(probe.group, report)
            numbers = (f"{item.events:,}", f"{item.failed:,}", ", ".join(within) or NONE)
            rows.append((name, item.dimension, item.value, *numbers, *_quantiles(item.times)))
    columns = ("Probe", "Dimension", "Value", "Events", "Failed", "Good within", "Successes")
    return Table((*columns, *(f"p{rank * 100:g}" for rank in RANKS)), rows, first_number=3)


def pages_table(report: SlaReport) -> Table:
    """Return the pages that belong to no incident."""
    rows = [
        (
            probe_name(probe.group, report),
            page.alert,
            page.slo or NONE,
            format_time(page.start),
            format_time(page.end),
        )
        for probe in report.probes
        for page in probe.other_pages
    ]
    return Table(("Probe", "Alert", "Objective", "From", "To"), rows, first_number=5)


def _times_in_effect(objective: ObjectiveReport) -> str:
    """Return when the objective was in effect, for the end of a text; empty for all the time."""
    if len(objective.in_effect) == 1:
        return "" if objective.is_current else f" until {format_time(objective.end)[:10]}"
    times = [
        f"{format_time(start)[:16]} to {format_time(end)[:16]}"
        for start, end in objective.in_effect
    ]
    return f", {' and '.join(times)}"
