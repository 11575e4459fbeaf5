"""A plan as text and as JSON."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from math import isinf

from probe.check.plan import AlertForecast, Plan, ProbePlan, SeriesCount
from probe.check.request import request_json, request_lines
from probe.check.spending import SpendingForecast
from probe.config.choices import AlertLevel
from probe.config.settings import Objective
from probe.config.units import format_duration, format_percentage
from probe.redaction import redact_config_url
from probe.result import Signal
from probe.serialization import format_money
from probe.slo.forecast import DetectionTime, FalseAlarms, PageThreshold

LEGEND = """\
A bad probe failed or was slower than the threshold. Prometheus sees fewer probes than a window
holds, because the rules sample every 30 s. Times are medians, from the first bad probe. The
forecast assumes the bundled rules, a scrape interval of 15 s, and bad probes that are independent
of each other. False pages include those of ModelDown: the forecast takes every bad probe for a
failed one. Series: without and with all six times that a server can report (11 series each). The
sum includes those of the daemon itself. The rules record up to 58 more per probe and 44 per
objective. See docs/choosing.md."""

# What ModelDown does, by its level.
_DOWN_TEXTS = {
    AlertLevel.PAGE: "ModelDown still pages",
    AlertLevel.TICKET: "ModelDown still raises a ticket",
    AlertLevel.NONE: "ModelDown raises no alert either",
}

# Units to which a duration is rounded, by its length (seconds).
_ROUNDING = ((120, 1), (600, 10), (7200, 60), (86400, 600), (float("inf"), 3600))


def render_text(plan: Plan, source: str) -> str:
    """Return the plan for people. `source` names the config."""
    lines = [line for probe in plan.probes for line in _probe_lines(probe)]
    if any(probe.forecasts for probe in plan.probes):
        lines += ["", LEGEND, ""]
    lines += [f"advice: {advice}" for advice in plan.advice]
    count = len(plan.probes)
    probes = "1 probe" if count == 1 else f"{count} probes"
    return "\n".join([*lines, f"{source} is valid: {probes}, {_series(plan.series)}"])


def _probe_lines(planned: ProbePlan) -> Iterator[str]:
    probe = planned.probe
    schedule = f"every {format_duration(probe.interval)}, timeout {format_duration(probe.timeout)}"
    request = f"{probe.method} {redact_config_url(probe.url.source)}"
    yield f"{probe.name}: {request} {schedule}, {_series(planned.series)}"
    if probe.protocol:
        yield "    request:"
        yield from (f"        {line}" for line in request_lines(probe))
    if planned.spending:
        yield f"    {_spending_line(planned.spending)}"
    for forecast in planned.forecasts:
        yield f"    {forecast.objective.name}: {format_objective(forecast.objective)}"
        for line in _forecast_lines(forecast, planned.probe.down):
            yield f"        {line}"


def _spending_line(spending: SpendingForecast) -> str:
    """Return the requests, tokens and cost per day in one line."""
    of = "" if spending.replicas == 1 else f" of {spending.replicas} replicas"
    line = f"per day{of}: {spending.requests_per_day:,.0f} requests"
    if spending.tokens_per_day is not None:
        estimate = spending.estimate
        line += f", up to {spending.tokens_per_day:,.0f} tokens"
        line += f" ({estimate.input} of input and {estimate.output} of output each)"
    if spending.cost_per_day is not None:
        line += f", {format_money(spending.cost_per_day)} {spending.currency}"
    return line


def _series(count: SeriesCount) -> str:
    return f"{count.without_server_times} to {count.with_server_times} series"


def format_objective(objective: Objective) -> str:
    """Return an objective in one line: `99% under 500ms (page)`."""
    target = format_percentage(objective.target)
    condition = "succeed"
    if objective.threshold is not None:
        signal = "" if objective.signal is Signal.LATENCY else f"{objective.signal.words} "
        condition = f"{signal}under {format_duration(objective.threshold)}"
    return f"{target} {condition} ({objective.alert})"


def _forecast_lines(forecast: AlertForecast, down: AlertLevel) -> Iterator[str]:
    """Yield the forecast of an objective. `down` is the level of ModelDown."""
    alert = forecast.objective.alert
    yield f"error budget: {_number(forecast.budget_probes)} bad probes in 30 days"
    if alert == "none":
        yield f"no alerts for this objective; {_DOWN_TEXTS[down]}"
    if alert == "page":
        windows = ((threshold,) for threshold in forecast.page_thresholds)
        yield _row("ModelObjectiveMissed", _conditions(windows))
        yield _row("ModelErrorBudgetBurn", _conditions(forecast.burn_page_thresholds))
    for detection in forecast.detection_times:
        ratio = detection.bad_ratio
        label = "all fail" if ratio == 1 else f"{format_percentage(ratio)} are bad"
        yield _row(label, _detection(detection, alert))
        if ratio == 1 and forecast.all_slow:
            yield _row("all are slow", _detection(forecast.all_slow, alert))
    if forecast.brown_out:
        label = f"{format_percentage(forecast.brown_out.bad_ratio)} stay bad"
        yield _row(label, f"new pages per day: {_number(forecast.brown_out.pages_per_day)}")
    for expected in forecast.false_alarms:
        yield _row(f"at {format_percentage(1 - expected.bad_ratio)} good", _false_alarms(expected))


def _row(label: str, text: str) -> str:
    return f"{label:23}{text}"


def _conditions(alternatives: Iterable[tuple[PageThreshold, ...]]) -> str:
    """Return when an alert fires: if all thresholds of one of the alternatives are reached."""
    texts = [
        " and ".join(map(_threshold, thresholds))
        for thresholds in alternatives
        if all(threshold.bad is not None for threshold in thresholds)
    ]
    return f"if bad: {', or '.join(texts)}" if texts else "never"


def _threshold(threshold: PageThreshold) -> str:
    return f"{threshold.bad} of {threshold.probes} in {format_duration(threshold.window)}"


def _detection(detection: DetectionTime, alert: str) -> str:
    texts = []
    if not isinf(detection.page):
        rule = "" if alert == "page" else " (ModelDown)"
        texts.append(f"page after {format_approximate_duration(detection.page)}{rule}")
    if not isinf(detection.ticket):
        texts.append(f"ticket after {format_approximate_duration(detection.ticket)}")
    return ", ".join(texts) or "no alert"


def _false_alarms(expected: FalseAlarms) -> str:
    pages, tickets = _number(expected.pages), _number(expected.tickets)
    return f"false alarms in 30 days: {pages} pages, {tickets} tickets"


def format_approximate_duration(seconds: float) -> str:
    """Return a duration rounded to about a tenth, the accuracy of the forecast."""
    unit = next(unit for limit, unit in _ROUNDING if seconds < limit)
    return format_duration(float(max(1, round(seconds / unit)) * unit))


def _number(value: float) -> str:
    """Return a number with two significant digits."""
    if value < 0.01:
        return "under 0.01" if value else "0"
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def render_json(plan: Plan) -> dict[str, object]:
    """Return the plan for machines. Times are seconds; null means never."""
    return {
        "valid": True,
        "problems": [],
        "probes": [_probe_json(planned) for planned in plan.probes],
        "series": plan.series.with_server_times,
        "advice": list(plan.advice),
    }


def _probe_json(planned: ProbePlan) -> dict[str, object]:
    probe = planned.probe
    return {
        "name": probe.name,
        "method": probe.method,
        "url": redact_config_url(probe.url.source),
        "interval_seconds": probe.interval,
        "timeout_seconds": probe.timeout,
        "series": planned.series.with_server_times,
        "request": request_json(probe) if probe.protocol else None,
        "spending": planned.spending and _spending_json(planned.spending),
        "objectives": [_objective_json(forecast) for forecast in planned.forecasts],
    }


def _spending_json(spending: SpendingForecast) -> dict[str, object]:
    return {
        "input_tokens_per_request": spending.estimate.input,
        "output_tokens_per_request": spending.estimate.output,
        "requests_per_day": spending.requests_per_day,
        "tokens_per_day": spending.tokens_per_day,
        "cost_per_day": spending.cost_per_day,
        "currency": spending.currency,
        "replicas": spending.replicas,
        "budgets": [
            {
                "name": budget.kind,
                "limit": float(budget.limit),
                "needed": float(budget.needed),
                "exhausted_after_seconds": budget.exhausted_after_seconds,
            }
            for budget in spending.budgets
        ],
    }


def _objective_json(forecast: AlertForecast) -> dict[str, object]:
    objective = forecast.objective
    return {
        "name": objective.name,
        "target": objective.target,
        "signal": objective.signal,
        "threshold_seconds": objective.threshold,
        "latency_seconds": objective.latency,
        "alert": objective.alert,
        "budget_probes": forecast.budget_probes,
        "pages_at": [_threshold_json(threshold) for threshold in forecast.page_thresholds],
        "burn_pages_at": [
            {"short": _threshold_json(short), "long": _threshold_json(long)}
            for short, long in forecast.burn_page_thresholds
        ],
        "false_alarms_in_30_days": [
            {
                "good_ratio": 1 - expected.bad_ratio,
                "pages": expected.pages,
                "tickets": expected.tickets,
            }
            for expected in forecast.false_alarms
        ],
        "found_after": [_detection_json(detection) for detection in forecast.detection_times],
        "all_slow": forecast.all_slow and _detection_json(forecast.all_slow),
        "brown_out": forecast.brown_out and asdict(forecast.brown_out),
    }


def _detection_json(detection: DetectionTime) -> dict[str, object]:
    return {
        "bad_ratio": detection.bad_ratio,
        "page_seconds": _seconds(detection.page),
        "ticket_seconds": _seconds(detection.ticket),
    }


def _threshold_json(threshold: PageThreshold) -> dict[str, object]:
    return {"window_seconds": threshold.window, "probes": threshold.probes, "bad": threshold.bad}


def _seconds(value: float) -> float | None:
    return None if isinf(value) else round(value, 1)
