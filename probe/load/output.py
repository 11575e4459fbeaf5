"""The report of a load test as text and as JSON."""

import math
from collections.abc import Iterator
from typing import Any

from probe.config.units import format_percentage
from probe.formatting import align, format_rate, format_seconds
from probe.load.formatting import format_quantile
from probe.load.objective import describe
from probe.load.report import Edge, LoadReport, StepReport
from probe.load.statistics import Quantile
from probe.load.stop import StopReason
from probe.load.verdict import Evidence, Verdict

_EDGE_TEXTS = {
    Edge.SLOPE: "slope: above the safe rate, a few more requests are bad",
    Edge.CLIFF: "cliff: just above the safe rate, many requests are bad; keep headroom",
}

_COLUMNS = (
    *("rate", "seconds", "offered", "failed", "bad", "upper bound", "p50", "p95", "in flight"),
    "verdict",
)


def render_text(report: LoadReport) -> str:
    """Return the table of steps and the result."""
    table = align([_COLUMNS, *(_row(step) for step in report.steps)])
    head = f"{report.probe}: {describe(report.objectives)}"
    return "\n".join([head, "", *table, "", *result_sentences(report)])


def _row(step: StepReport) -> tuple[str, ...]:
    verdict = f"{step.verdict}, confirmation" if step.is_confirmation else str(step.verdict)
    return (
        format_rate(step.rate),
        f"{step.seconds:.0f}",
        f"{step.offered}",
        f"{step.failed + step.dropped}",
        format_percentage(round(step.limiting.bad_share, 5)),
        format_percentage(round(step.limiting.bounds.upper, 4)),
        format_quantile(step.p50),
        format_quantile(step.p95),
        f"{step.in_flight:.3g}",
        verdict,
    )


def result_sentences(report: LoadReport) -> Iterator[str]:
    """Yield the result of a load test as sentences, the safe rate first."""
    confirmed = report.confirmed
    if confirmed is None:
        yield f"No safe rate is confirmed: {report.reason}."
        if report.reason == StopReason.OUT_OF_TIME:
            yield "Raise --max-duration: slow endpoints and low rates need longer steps."
    else:
        evidence = confirmed.limiting
        yield (
            f"Safe rate: {format_rate(confirmed.rate)}, held for {confirmed.seconds:.0f} s:"
            f" {evidence.requests} requests, {evidence.bad} bad, upper bound"
            f" {format_percentage(round(evidence.bounds.upper, 4))}."
        )
        yield f"Requests in flight at this rate: {confirmed.in_flight:.3g}."
    if missed := report.missed:
        note = " This step is undecided." if missed.verdict is Verdict.UNDECIDED else ""
        yield (
            f"First missed rate: {format_rate(missed.rate)}, with"
            f" {format_percentage(round(missed.limiting.bad_share, 4))} bad.{note}"
        )
        if text := _EDGE_TEXTS.get(report.edge):
            yield f"Edge: {text}."
    elif confirmed:
        yield "No higher rate was missed, so the limit may be higher."
    if degradation := report.degradation:
        yield (
            f"Grew most until the missed rate: {degradation.name}, from"
            f" {format_seconds(degradation.before)} to {format_seconds(degradation.after)}."
        )
    if rates := report.void_rates:
        yield (
            f"All steps at {format_rate(rates[0])} are void: the load generator was too late, or"
            " failed. Run it where it has more CPU."
        )
    yield from _demand(report)


def _demand(report: LoadReport) -> Iterator[str]:
    demand = report.demand
    if demand is None or report.headroom is None:
        return
    yield (
        f"Headroom at {format_rate(demand.rate)}: {format_percentage(round(report.headroom, 3))}"
        " of the safe rate."
    )
    limit = ""
    if demand.utilization < 1:
        limit = f", each with at most {format_percentage(demand.utilization)} of the safe rate"
    yield (
        f"Replicas for {format_rate(demand.rate)} with a headroom of"
        f" {format_percentage(demand.headroom)}{limit}: {report.replicas}."
    )


def render_json(report: LoadReport) -> dict[str, Any]:
    """Return the report for machines: rates per second, times in seconds."""
    confirmed, degradation = report.confirmed, report.degradation
    return {
        "probe": report.probe,
        "objective": describe(report.objectives),
        "safe_rate": report.safe_rate,
        "missed_rate": report.missed.rate if report.missed else None,
        "edge": str(report.edge),
        "reason": report.reason,
        "confirmed": {
            "rate": confirmed.rate,
            "seconds": confirmed.seconds,
            **_counts_json(confirmed.limiting),
            "in_flight": confirmed.in_flight,
        }
        if confirmed
        else None,
        "degraded": {
            "name": degradation.name,
            "before_seconds": degradation.before,
            "after_seconds": degradation.after,
        }
        if degradation
        else None,
        "steps": [_step_json(step) for step in report.steps],
        "expected": report.demand.rate if report.demand else None,
        "headroom": report.headroom,
        "replicas": report.replicas,
    }


def _step_json(step: StepReport) -> dict[str, Any]:
    return {
        "rate": step.rate,
        "confirmation": step.is_confirmation,
        "seconds": step.seconds,
        "offered": step.offered,
        "completed": step.completed,
        "dropped": step.dropped,
        "failures": {str(reason): count for reason, count in step.failures.items()},
        **_counts_json(step.limiting),
        "objectives": [
            {
                "objective": evidence.objective.text,
                **_counts_json(evidence),
                "lower_bound": evidence.bounds.lower,
                "verdict": str(evidence.verdict),
            }
            for evidence in step.evidence
        ],
        **_quantile_json("p50", step.p50),
        **_quantile_json("p95", step.p95),
        **_quantile_json("p99", step.p99),
        "in_flight": step.in_flight,
        "throughput": step.throughput,
        "phases": {str(phase): seconds for phase, seconds in step.phases.items()},
        "server": {str(component): seconds for component, seconds in step.components.items()},
        "lag_seconds": step.lag_seconds,
        "verdict": str(step.verdict),
    }


def _counts_json(evidence: Evidence) -> dict[str, Any]:
    return {
        "requests": evidence.requests,
        "bad": evidence.bad,
        "upper_bound": evidence.bounds.upper,
    }


def _quantile_json(name: str, quantile: Quantile | None) -> dict[str, Any]:
    """Return a quantile with its interval (seconds).

    It is None if there are too few requests. A time is None if it is that of a failed request.
    """
    if quantile is None:
        return {name: None, f"{name}_interval": None}
    return {
        name: _finite(quantile.seconds),
        f"{name}_interval": [_finite(quantile.lower), _finite(quantile.upper)],
    }


def _finite(seconds: float) -> float | None:
    return seconds if math.isfinite(seconds) else None
