"""The JSON API under `/api/v1/`: the data of the pages.

The fields are a contract with users, see docs/api.md. Times are in seconds.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from probe.clock import rfc3339
from probe.history.half_hours import HalfHour
from probe.history.objectives import ObjectiveStatus
from probe.history.snapshots import ProbeHistory
from probe.history.version_log import VersionPeriod
from probe.redaction import redact_config_url
from probe.result import BudgetStatus, Result
from probe.serialization import result_json, rounded, to_json
from probe.server.lifecycle import Lifecycle
from probe.server.summary import ProbeSummary, read_details, summarise


def all_probes_json(histories: Iterable[ProbeHistory], lifecycle: Lifecycle) -> dict[str, Any]:
    """Return the document of all probes, with an iterator in place of the list of them.

    Of 5,000 probes, the list would be 0.6 million objects. To free them at once, and to search them
    for garbage, would stop all other threads for 10 and 50 ms.
    """
    paused = lifecycle.paused()
    return {
        "standstill": lifecycle.not_running_reason(),
        "probes": (_summary_json(summarise(history, paused=paused)) for history in histories),
    }


def one_probe_json(
    history: ProbeHistory,
    half_hours: Sequence[HalfHour],
    lifecycle: Lifecycle,
    *,
    excerpts: bool,
) -> dict[str, Any]:
    """Return the document of one probe, with excerpts of responses if `excerpts`."""
    details = read_details(history, paused=lifecycle.paused())
    return {
        "standstill": lifecycle.not_running_reason(),
        **_summary_json(details.summary),
        "phases": {
            phase: _quantiles_json(times.quantiles) for phase, times in details.phases.items()
        },
        "versions": [_version_json(period) for period in history.versions],
        "half_hours": [_half_hour_json(item) for item in reversed(half_hours) if item.total],
        "recent": [_result_json(result) for result in reversed(details.recent)],
        "slowest": [_result_json(result) for result in details.slowest],
        "failures": [_failure_json(result, excerpts=excerpts) for result in details.failures],
    }


def _summary_json(summary: ProbeSummary) -> dict[str, Any]:
    probe = summary.probe
    expiry = summary.history.certificate_not_after
    return {
        "probe": probe.name,
        "url": redact_config_url(probe.url.source),
        "labels": dict(probe.labels),
        "interval_seconds": probe.interval,
        "timeout_seconds": probe.timeout,
        "state": summary.state,
        "startup_seconds_left": round(summary.history.startup_seconds_left, 3),
        "budget": _budget_json(summary.history.budget),
        "certificate_not_after": None if expiry is None else rfc3339(expiry),
        "last": summary.last and _last_json(summary.last),
        "objectives": [_objective_json(status) for status in summary.objectives],
        "successes": summary.successes,
        "latency_seconds": _quantiles_json(summary.quantiles),
    }


def _budget_json(budget: BudgetStatus) -> dict[str, Any] | None:
    """Return the use of the budget; None for a probe without one."""
    if not budget.uses:
        return None
    return {
        "exhausted": budget.is_exhausted,
        "limits": [
            {"name": use.kind, "used": rounded(float(use.used)), "limit": rounded(float(use.limit))}
            for use in budget.uses
        ],
    }


def _last_json(last: Result) -> dict[str, Any]:
    return {
        "started": rfc3339(last.started),
        "latency_seconds": rounded(last.latency),
        "reason": last.failure.reason if last.failure else None,
        "detail": last.failure.detail if last.failure else None,
        "status": last.status,
    }


def _objective_json(status: ObjectiveStatus) -> dict[str, Any]:
    objective = status.objective
    budget_left = status.budget_left
    return {
        "name": objective.name,
        "target": objective.target,
        "signal": objective.signal,
        "threshold_seconds": objective.threshold,
        "latency_seconds": objective.latency,
        "windows": {
            window: {"good": count.good, "bad": count.bad, "met": status.met(window)}
            for window, count in status.counts.items()
        },
        "budget_left": None if budget_left is None else rounded(budget_left),
        "covered_seconds": round(status.covered_seconds, 3),
    }


def _quantiles_json(seconds: Mapping[float, float]) -> dict[str, float]:
    return {f"p{q * 100:g}": rounded(time) for q, time in seconds.items()}


def _half_hour_json(half_hour: HalfHour) -> dict[str, Any]:
    return {**half_hour._asdict(), "started": rfc3339(half_hour.started)}


def _version_json(period: VersionPeriod) -> dict[str, Any]:
    return {
        **period._asdict(),
        "first": rfc3339(period.first),
        "last": rfc3339(period.last),
    }


def _result_json(result: Result) -> dict[str, Any]:
    """Return a result with the last request of its redirect chain; null without redirects."""
    return {**result_json(result), "landing": to_json(result.final_hop)}


def _failure_json(result: Result, *, excerpts: bool) -> dict[str, Any]:
    if not excerpts:
        return _result_json(result)
    excerpt = result.excerpt
    return {
        **_result_json(result),
        "headers": dict(excerpt.headers) if excerpt else None,
        "body_excerpt": excerpt.body if excerpt else None,
    }
