"""Builds the report of a period from the data of a Prometheus server."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import itemgetter

from probe.metrics import catalogue
from probe.prometheus.client import OnProgress, PrometheusClient
from probe.prometheus.probe_group import ProbeGroup, find_groups
from probe.report.alerts import Page, pages_of, read_pages
from probe.report.attainment import (
    Status,
    attainment_if_bad,
    attainment_interval,
    error_budget,
    status,
)
from probe.report.coverage import END_SECONDS, Coverage, Interval
from probe.report.measurement import Measurement, measure
from probe.report.objective_counts import Objective, ObjectiveCounts
from probe.report.period import Period
from probe.report.phase_comparisons import read_phase_comparisons
from probe.report.provenance import read_config_hash, read_rules_hash, read_versions
from probe.report.report import (
    DimensionReport,
    IncidentReport,
    ObjectiveReport,
    PreviousObjective,
    ProbeReport,
    SlaReport,
)
from probe.report.time_quantiles import (
    TimeQuantiles,
    read_dimension_quantiles,
    read_quantiles,
)

OnProbeProgress = Callable[[ProbeGroup, Period, float], None]
"""Called with the probe, the period and the time (Unix seconds) until which it has been read."""


def find_probes(client: PrometheusClient, period: Period) -> list[ProbeGroup]:
    """Return the probes with data in the period. Raises PrometheusError."""
    return find_groups(client, catalogue.INTERVAL.name, period.start, period.end)


def build_report(
    client: PrometheusClient,
    groups: Sequence[ProbeGroup],
    period: Period,
    *,
    with_previous: bool,
    created: float,
    on_progress: OnProbeProgress,
) -> SlaReport:
    """Return the report about `groups`, also about the previous period if wanted.

    Raises PrometheusError.
    """
    previous = period.previous() if with_previous else None
    probes = []
    for group in groups:
        report = _probe_report(client, group, period, partial(on_progress, group, period))
        if previous:
            before = _probe_report(client, group, previous, partial(on_progress, group, previous))
            report = _compared(report, before)
        probes.append(report)
    return SlaReport(
        period=period,
        previous_period=previous,
        created=created,
        source=client.url,
        probes=tuple(probes),
        rules_hash=read_rules_hash(client),
        warnings=tuple(sorted(client.warnings)),
    )


def _probe_report(
    client: PrometheusClient, group: ProbeGroup, period: Period, on_progress: OnProgress
) -> ProbeReport:
    measurement = measure(client, group, period, on_progress)
    start, end = period.start, period.end
    pages = read_pages(client, group, start, end)
    coverage = measurement.coverage
    objectives: tuple[ObjectiveReport, ...] = ()
    if coverage:
        context = _Context(group, period, coverage, pages)
        objectives = tuple(
            _objective_report(objective, counts, context)
            for objective, counts in sorted(measurement.objectives.items())
        )
    shown = {
        page for objective in objectives for item in objective.incidents for page in item.pages
    }
    return ProbeReport(
        group=group,
        coverage=coverage,
        objectives=objectives,
        times=read_quantiles(client, group, start, end),
        previous_times={},
        phase_comparisons=read_phase_comparisons(client, group, period),
        dimensions=_dimensions(client, group, period, measurement),
        other_pages=tuple(page for page in pages if page not in shown),
        daemon_versions=read_versions(client, group, start, end),
        config_hash=read_config_hash(client, group, start, end),
    )


@dataclass(frozen=True, slots=True)
class _Context:
    """Values that the reports about all objectives of one probe share."""

    group: ProbeGroup
    period: Period
    coverage: Coverage
    pages: Sequence[Page]


def _objective_report(
    objective: Objective, counts: ObjectiveCounts, context: _Context
) -> ObjectiveReport:
    events, target, coverage = counts.events, objective.target, context.coverage
    is_current = counts.is_current
    end = coverage.end if is_current else counts.end
    in_effect = _clipped([*counts.in_effect[:-1], (counts.in_effect[-1][0], end)], coverage.start)
    seconds = sum(stop - start for start, stop in in_effect)
    # The time before the first data counts as not measured.
    begins_with_data = counts.start - coverage.start <= END_SECONDS
    unknown_seconds = coverage.start - context.period.start if begins_with_data else 0.0
    expected = _events_per_second(coverage) * (seconds + unknown_seconds)
    measured_share = 1 - coverage.absent_seconds / coverage.seconds if coverage.seconds else 0.0
    verdict = status(events, target, expected=expected, unknown=max(0.0, expected - events.total))
    # The excluded runs are known for the whole coverage only.
    is_complete = begins_with_data and is_current and len(in_effect) == 1
    if_bad = {
        item.cause: attainment_if_bad(events, item.runs)
        for item in coverage.excluded
        if item.runs and is_complete
    }
    return ObjectiveReport(
        group=context.group,
        key=objective.key,
        target=target,
        in_effect=in_effect,
        is_current=is_current,
        events=events,
        interval=attainment_interval(counts.hours),
        budget=error_budget(events, target, seconds * measured_share),
        status=verdict.status,
        status_reason=verdict.reason,
        reasons=dict(counts.reasons.most_common()),
        if_excluded_were_bad={
            cause: attainment for cause, attainment in if_bad.items() if attainment is not None
        },
        incidents=tuple(
            IncidentReport(incident, pages_of(incident, objective.key.slo, context.pages))
            for incident in counts.detector.incidents
        ),
        hours=counts.hours,
    )


def _clipped(intervals: Sequence[Interval], start: float) -> tuple[Interval, ...]:
    """Return the parts of `intervals` after `start` (Unix seconds); the last interval always."""
    *earlier, last = intervals
    kept = [(max(first, start), end) for first, end in earlier if end > start]
    return (*kept, (max(last[0], start), last[1]))


def _events_per_second(coverage: Coverage) -> float:
    """Return the rate of the runs of all replicas, without those that were not wanted."""
    wanted = max(0.0, coverage.expected - coverage.deliberate)
    return wanted / coverage.seconds if coverage.seconds else 0.0


def _dimensions(
    client: PrometheusClient, group: ProbeGroup, period: Period, measurement: Measurement
) -> tuple[DimensionReport, ...]:
    """Return the events of each version, segment and payload, if the daemon exports them."""
    counts = measurement.dimensions
    if not counts.events:
        return ()
    times = read_dimension_quantiles(client, group, period.start, period.end)
    return tuple(
        DimensionReport(
            dimension=key.dimension,
            value=key.value,
            events=events.total,
            failed=events.bad,
            within=dict(sorted(counts.within[key].items())),
            times=times.get(key),
        )
        for key, events in sorted(counts.events.items(), key=itemgetter(0))
    )


def _compared(report: ProbeReport, before: ProbeReport) -> ProbeReport:
    """Return `report` with the values of the previous period."""
    return replace(
        report,
        previous_times=_same_times(report.times, before.times),
        objectives=tuple(
            replace(objective, previous=_previous(objective, before.objectives))
            for objective in report.objectives
        ),
    )


def _same_times(
    times: Mapping[str, TimeQuantiles], before: Mapping[str, TimeQuantiles]
) -> dict[str, TimeQuantiles]:
    return {name: before[name] for name in times if name in before}


def _previous(
    objective: ObjectiveReport, candidates: Sequence[ObjectiveReport]
) -> PreviousObjective | None:
    """Return the same objective of the previous period: with the same threshold and target."""
    for candidate in candidates:
        attainment = candidate.attainment
        if (candidate.key, candidate.target) == (objective.key, objective.target):
            if attainment is None:
                return None
            return PreviousObjective(
                events=candidate.events,
                attainment=attainment,
                status=Status(candidate.status),
                budget=candidate.budget,
                incidents=len(candidate.incidents),
            )
    return None
