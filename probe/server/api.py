"""The pages as JSON. The fields are a contract with users, docs/api.md; times are seconds."""

from collections.abc import Iterable, Mapping
from typing import Any

from probe.clock import rfc3339
from probe.history.history import ProbeHistory
from probe.history.objectives import ObjectiveStatus
from probe.metrics.recorder import shown_url
from probe.result import Result
from probe.serialization import hop_json, result_json, rounded
from probe.server.summary import Summary, detail, summarise


def all_probes(everything: Iterable[ProbeHistory], standstill: str | None) -> dict[str, Any]:
    """`standstill` says why no probe is started at present; null as long as they are."""
    return {"standstill": standstill, "probes": [_summary(summarise(kept)) for kept in everything]}


def one_probe(kept: ProbeHistory, standstill: str | None, *, excerpts: bool) -> dict[str, Any]:
    """What is kept of a probe; with the excerpts of answers only for who may see them."""
    told = detail(kept)
    return {
        "standstill": standstill,
        **_summary(told.summary),
        "phases": {phase: _quantiles(times) for phase, times in told.phases.items()},
        "recent": list(map(_result, reversed(told.recent))),
        "slowest": list(map(_result, told.slowest)),
        "failures": [_failure(result, excerpts=excerpts) for result in told.failures],
    }


def _summary(summary: Summary) -> dict[str, Any]:
    probe = summary.kept.probe
    last = summary.last
    return {
        "probe": probe.name,
        "url": shown_url(probe),
        "labels": dict(probe.labels),
        "interval_seconds": probe.interval,
        "timeout_seconds": probe.timeout,
        "last": last
        and {
            "started": rfc3339(last.started),
            "latency_seconds": rounded(last.latency),
            "reason": last.reason,
        },
        "objectives": list(map(_standing, summary.standings)),
        "successes": summary.successes,
        "latency_seconds": _quantiles(summary.quantiles),
    }


def _standing(standing: ObjectiveStatus) -> dict[str, Any]:
    objective = standing.objective
    left = standing.budget_left
    return {
        "name": objective.name,
        "target": objective.target,
        "latency_seconds": objective.latency,
        "windows": {
            window: {"good": count.good, "bad": count.bad, "met": standing.met(window)}
            for window, count in standing.counts.items()
        },
        "budget_left": None if left is None else rounded(left),
        "covered_seconds": round(standing.covered_seconds, 3),
    }


def _quantiles(seconds: Mapping[float, float]) -> dict[str, float]:
    return {f"p{q * 100:g}": rounded(time) for q, time in seconds.items()}


def _result(result: Result) -> dict[str, Any]:
    """With the last request of a chain of redirects; null where there was one request only."""
    return {
        **result_json(result),
        "landing": hop_json(result.final_hop) if result.final_hop else None,
    }


def _failure(result: Result, *, excerpts: bool) -> dict[str, Any]:
    if not excerpts:
        return _result(result)
    excerpt = result.excerpt
    return {
        **_result(result),
        "headers": dict(excerpt.headers) if excerpt else None,
        "body_excerpt": excerpt.body if excerpt else None,
    }
