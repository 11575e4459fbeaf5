"""A plan in words for people, and as data for machines."""

from collections.abc import Iterator
from math import isinf

from probe.check.plan import AlertForecast, Plan, ProbePlan
from probe.config.schema import Objective
from probe.config.units import format_duration
from probe.metrics.recorder import shown_url
from probe.slo.forecast import DetectionTime, FalseAlarms, PageThreshold

LEGEND = """\
So will the bundled alerts behave if probes are independent of each other and Prometheus scrapes
every 15 s. Times are medians, from the first bad probe on. Pages of a model that keeps its promise
are counted as if all that is bad failed: slow answers cannot raise ModelDown. Series are those of
the metrics inference_probe_*; the rules record up to 36 more of each probe, and 36 of each
objective."""


def render_text(plan: Plan, source: str) -> str:
    """For people."""
    lines = [line for one in plan.probes for line in _probe_lines(one)]
    if any(one.predictions for one in plan.probes):
        lines += ["", LEGEND, ""]
    lines += [f"advice: {advice}" for advice in plan.advice]
    count = len(plan.probes)
    probes = "1 probe" if count == 1 else f"{count} probes"
    return "\n".join([*lines, f"{source} is valid: {probes}, {plan.series} series"])


def _probe_lines(planned: ProbePlan) -> Iterator[str]:
    probe = planned.probe
    pace = f"every {format_duration(probe.interval)}, timeout {format_duration(probe.timeout)}"
    yield f"{probe.name}: {probe.method} {shown_url(probe)} {pace}, {planned.series} series"
    for prediction in planned.predictions:
        yield f"    {prediction.objective.name}: {format_objective(prediction.objective)}"
        for words in _predicted(prediction):
            yield f"        {words}"


def format_objective(objective: Objective) -> str:
    """An objective in one line: `99% under 500ms (page)`."""
    share = _percent(objective.target)
    within = f"under {format_duration(objective.latency)}" if objective.latency else "succeed"
    return f"{share} {within} ({objective.alert})"


def _predicted(prediction: AlertForecast) -> Iterator[str]:
    yield f"{_number(prediction.budget_probes)} bad probes are allowed in 30 days"
    if prediction.needs:
        yield _row("pages at", ", ".join(map(_need, prediction.needs)))
        pairs = (" with ".join(map(_need, pair)) for pair in prediction.burn_needs)
        yield _row("burn pages at", ", ".join(pairs))
    for found in prediction.found:
        what = "all fail" if found.share == 1 else f"{_percent(found.share)} are bad"
        yield _row(what, _found(found))
    for expected in prediction.false_alarms:
        yield _row(f"{_percent(1 - expected.share)} are good", _false(expected))


def _row(what: str, words: str) -> str:
    return f"{what:18}{words}"


def _need(need: PageThreshold) -> str:
    window = format_duration(need.window)
    return f"{'never' if need.bad is None else need.bad} of {need.probes} in {window}"


def _found(found: DetectionTime) -> str:
    alerts = (("page", found.page), ("ticket", found.ticket))
    told = [
        f"{alert} after {format_approximate_duration(after)}"
        for alert, after in alerts
        if not isinf(after)
    ]
    return ", ".join(told) or "no alert"


def _false(expected: FalseAlarms) -> str:
    pages, tickets = _number(expected.pages), _number(expected.tickets)
    return f"{pages} false pages, {tickets} false tickets in 30 days"


def format_approximate_duration(seconds: float) -> str:
    """A duration as exact as it is known: to a tenth or so."""
    unit = next(unit for limit, unit in _ROUND if seconds < limit)
    return format_duration(float(max(1, round(seconds / unit)) * unit))


_ROUND = ((120, 1), (600, 10), (7200, 60), (86400, 600), (float("inf"), 3600))


def _percent(share: float) -> str:
    return f"{share * 100:.10g}%"


def _number(value: float) -> str:
    """Two digits that count; what is next to nothing is said to be so."""
    if value < 0.01:
        return "under 0.01" if value else "0"
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def render_json(plan: Plan) -> dict[str, object]:
    """For machines. Times are seconds; null is never."""
    return {
        "valid": True,
        "problems": [],
        "probes": [_probe(planned) for planned in plan.probes],
        "series": plan.series,
        "advice": list(plan.advice),
    }


def _probe(planned: ProbePlan) -> dict[str, object]:
    probe = planned.probe
    return {
        "name": probe.name,
        "method": probe.method,
        "url": shown_url(probe),
        "interval_seconds": probe.interval,
        "timeout_seconds": probe.timeout,
        "series": planned.series,
        "objectives": [_objective(prediction) for prediction in planned.predictions],
    }


def _objective(prediction: AlertForecast) -> dict[str, object]:
    one = prediction.objective
    return {
        "name": one.name,
        "target": one.target,
        "latency_seconds": one.latency,
        "alert": one.alert,
        "budget_probes": prediction.budget_probes,
        "pages_at": [_need_document(need) for need in prediction.needs],
        "burn_pages_at": [
            {"short": _need_document(short), "long": _need_document(long)}
            for short, long in prediction.burn_needs
        ],
        "false_alarms_in_30_days": [
            {"good_ratio": 1 - it.share, "pages": it.pages, "tickets": it.tickets}
            for it in prediction.false_alarms
        ],
        "found_after": [
            {
                "bad_ratio": it.share,
                "page_seconds": _seconds(it.page),
                "ticket_seconds": _seconds(it.ticket),
            }
            for it in prediction.found
        ],
    }


def _need_document(need: PageThreshold) -> dict[str, object]:
    return {"window_seconds": need.window, "probes": need.probes, "bad": need.bad}


def _seconds(value: float) -> float | None:
    return None if isinf(value) else round(value, 1)
