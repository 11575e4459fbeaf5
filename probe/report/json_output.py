"""The report as JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

from probe import __version__
from probe.clock import rfc3339
from probe.history.phase_comparison import PhaseComparison, is_slower
from probe.metrics.target_labels import Replica
from probe.report.alerts import Page
from probe.report.attainment import worst_hours
from probe.report.coverage import Coverage
from probe.report.objective_counts import Events
from probe.report.period import Period
from probe.report.phase_comparisons import PhaseComparisons
from probe.report.report import (
    DimensionReport,
    IncidentReport,
    ObjectiveReport,
    PreviousObjective,
    ProbeReport,
    SlaReport,
)
from probe.report.time_quantiles import TimeQuantiles
from probe.report.wording import METHOD, WORST_HOURS, finite_threshold


def render_json(report: SlaReport) -> dict[str, Any]:
    """Return the document of `--format=json`; instants are RFC 3339 in UTC, times are seconds."""
    return {
        "period": _period(report.period),
        "previous_period": report.previous_period and _period(report.previous_period),
        "status": report.status,
        "objectives": [_objective(objective) for objective in report.objectives],
        "coverage": [
            {**_group(probe), **_coverage(probe.coverage)}
            for probe in report.probes
            if probe.coverage
        ],
        "times": [
            {
                **_group(probe),
                "time": name,
                **_times(times),
                "previous": _previous_times(probe, name),
            }
            for probe in report.probes
            for name, times in probe.times.items()
        ],
        "phase_comparisons": [
            {**_group(probe), **_phase_comparisons(probe.phase_comparisons)}
            for probe in report.probes
            if probe.phase_comparisons
        ],
        "dimensions": [
            {**_group(probe), **_dimension(dimension)}
            for probe in report.probes
            for dimension in probe.dimensions
        ],
        "other_pages": [
            {**_group(probe), **_page(page)}
            for probe in report.probes
            for page in probe.other_pages
        ],
        "provenance": {
            "created": rfc3339(report.created),
            "source": report.source,
            "version": __version__,
            "method": METHOD,
            "rules_hash": report.rules_hash,
            "probes": [
                {
                    **_group(probe),
                    "daemon_versions": list(probe.daemon_versions),
                    "config_hash": probe.config_hash,
                }
                for probe in report.probes
            ],
            "warnings": list(report.warnings),
        },
    }


def _period(period: Period) -> dict[str, Any]:
    return {"name": period.name, "from": rfc3339(period.start), "to": rfc3339(period.end)}


def _group(item: ProbeReport | ObjectiveReport) -> dict[str, Any]:
    return {"probe": item.group.probe, "labels": item.group.labels}


def _objective(objective: ObjectiveReport) -> dict[str, Any]:
    interval, budget = objective.interval, objective.budget
    return {
        **_group(objective),
        "slo": objective.key.slo,
        "signal": objective.key.signal,
        "threshold_seconds": finite_threshold(objective.key.threshold),
        "target": objective.target,
        "from": rfc3339(objective.start),
        "to": rfc3339(objective.end),
        "in_effect": [
            {"from": rfc3339(start), "to": rfc3339(end)} for start, end in objective.in_effect
        ],
        "current": objective.is_current,
        "good": objective.events.good,
        "bad": objective.events.bad,
        "total": objective.events.total,
        "attainment": objective.attainment,
        "interval": interval and [interval.bounds.lower, interval.bounds.upper],
        "effective_events": interval and round(interval.effective_events, 1),
        "status": objective.status,
        "status_reason": objective.status_reason,
        "budget": {
            "allowed": round(budget.allowed, 6),
            "used": budget.used,
            "left": round(budget.left, 6),
            "minutes_allowed": round(budget.minutes_allowed, 3),
            "minutes_used": round(budget.minutes_used, 3),
            "minutes_left": round(budget.minutes_left, 3),
        },
        "reasons": dict(objective.reasons),
        "if_excluded_were_bad": dict(objective.if_excluded_were_bad),
        "incidents": [_incident(item) for item in objective.incidents],
        "worst_hours": [
            {"from": rfc3339(start), **_events(events)}
            for start, events in worst_hours(objective.hours, WORST_HOURS)
        ],
        "previous": objective.previous and _previous(objective.previous),
    }


def _events(events: Events) -> dict[str, int]:
    return {"good": events.good, "bad": events.bad}


def _previous(previous: PreviousObjective) -> dict[str, Any]:
    return {
        **_events(previous.events),
        "attainment": previous.attainment,
        "status": previous.status,
        "budget_left": round(previous.budget.left, 6),
        "incidents": previous.incidents,
    }


def _incident(item: IncidentReport) -> dict[str, Any]:
    incident = item.incident
    return {
        "from": rfc3339(incident.start),
        "to": rfc3339(incident.end),
        "seconds": round(incident.seconds, 3),
        "bad": incident.bad,
        "reasons": dict(incident.reasons),
        "pages": [_page(page) for page in item.pages],
    }


def _page(page: Page) -> dict[str, Any]:
    return {
        "alert": page.alert,
        "slo": page.slo or None,
        "from": rfc3339(page.start),
        "to": rfc3339(page.end),
    }


def _coverage(coverage: Coverage) -> dict[str, Any]:
    return {
        "first_scrape": rfc3339(coverage.first_scrape),
        "from": rfc3339(coverage.start),
        "to": rfc3339(coverage.end),
        "interval_seconds": coverage.interval,
        "expected": round(coverage.expected, 1),
        "due": coverage.due,
        "run": coverage.run,
        "skipped": dict(coverage.skipped),
        "absent_seconds": round(coverage.absent_seconds, 3),
        "unscraped_seconds": round(coverage.unscraped_seconds, 3),
        "excluded": [
            {"cause": item.cause, "runs": item.runs, "seconds": round(item.seconds, 3)}
            for item in coverage.excluded
        ],
        "replicas": [
            {
                "labels": _labels(replica.replica),
                "from": rfc3339(replica.start),
                "to": rfc3339(replica.end),
                "expected": round(replica.expected, 1),
                "due": replica.due,
                "run": replica.run,
                "skipped": dict(replica.skipped),
                "restarts": replica.restarts,
                "absent_seconds": round(replica.absent_seconds, 3),
            }
            for replica in coverage.replicas
        ],
    }


def _labels(replica: Replica) -> Mapping[str, str]:
    return dict(sorted(replica))


def _times(times: TimeQuantiles) -> dict[str, Any]:
    quantiles = {f"p{rank * 100:g}": seconds for rank, seconds in times.quantiles.items()}
    return {
        "successes": times.successes,
        **quantiles,
        "first_bucket_seconds": times.first_bound,
    }


def _previous_times(probe: ProbeReport, name: str) -> dict[str, Any] | None:
    previous = probe.previous_times.get(name)
    return _times(previous) if previous else None


def _phase_comparisons(comparisons: PhaseComparisons) -> dict[str, Any]:
    return {
        "from": rfc3339(comparisons.start),
        "to": rfc3339(comparisons.end),
        "days_without_mean": list(comparisons.days_without_mean),
        "phases": [_phase_comparison(comparison) for comparison in comparisons.phases],
    }


def _phase_comparison(comparison: PhaseComparison) -> dict[str, Any]:
    return {
        "phase": comparison.phase,
        "mean": comparison.recent,
        "usual": _earlier_mean(comparison.recent, comparison.usual),
        "four_weeks_ago": _earlier_mean(comparison.recent, comparison.four_weeks_ago),
    }


def _earlier_mean(recent: float, earlier: float | None) -> dict[str, Any] | None:
    if earlier is None:
        return None
    return {"mean": earlier, "ratio": recent / earlier, "slower": is_slower(recent, earlier)}


def _dimension(report: DimensionReport) -> dict[str, Any]:
    within: Sequence[dict[str, Any]] = [
        {"threshold_seconds": threshold, "events": events.good, "total": events.total}
        for threshold, events in report.within.items()
    ]
    return {
        "dimension": report.dimension,
        "value": report.value,
        "events": report.events,
        "failed": report.failed,
        "within": within,
        **(_times(report.times) if report.times else {}),
    }
