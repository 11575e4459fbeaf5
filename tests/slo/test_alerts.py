"""The parameters that the forecast uses, against the rules file."""

import re
from pathlib import Path
from typing import Any

import yaml

from probe.config.units import format_duration, parse_duration
from probe.slo.alerts import (
    EVALUATION_INTERVAL_SECONDS,
    HIGH_LATENCY,
    LONG_EVALUATION_INTERVAL_SECONDS,
    MODEL_DOWN,
    OBJECTIVE_MISSED,
    PAGE_BURNS,
    TICKET_BURNS,
    BurnRule,
)

FILE = Path(__file__).parents[2] / "rules" / "inference-probe.rules.yml"
GROUPS = yaml.safe_load(FILE.read_text())["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]


def alerts(name: str, **labels: str) -> list[dict[str, Any]]:
    rules = [rule for rule in RULES if rule.get("alert") == name]
    return [rule for rule in rules if labels.items() <= rule["labels"].items()]


def evaluation_interval(rule: dict[str, Any]) -> float:
    (group,) = (group for group in GROUPS if rule in group["rules"])
    return parse_duration(group["interval"])


def test_intervals() -> None:
    """The alerts have these evaluation intervals."""
    for name in ("ModelObjectiveMissed", "HighModelLatency", "ModelDown"):
        (rule,) = alerts(name, slo_severity="ticket" if name == "HighModelLatency" else "page")
        assert evaluation_interval(rule) == EVALUATION_INTERVAL_SECONDS
    for level, seconds in (
        ("page", EVALUATION_INTERVAL_SECONDS),
        ("ticket", LONG_EVALUATION_INTERVAL_SECONDS),
    ):
        for rule in alerts("ModelErrorBudgetBurn", slo_severity=level):
            assert evaluation_interval(rule) == seconds


def conditions(expr: str) -> list[tuple[float, float, int]]:
    """Return the windows with evidence, and the current window and the factor that follow each."""
    found = re.findall(
        r'window=~?"([^"]+)"}\) > (\d+).*?:ratio(\w+)\s*>.*?(3 \*)? min', expr, re.DOTALL
    )
    return [
        (parse_duration(window), parse_duration(current), 3 if factor else 1)
        for names, evidence, current, factor in found
        for window in names.split("|")
        if float(evidence) == OBJECTIVE_MISSED.evidence
    ]


def test_objective_missed() -> None:
    """The windows of ModelObjectiveMissed, and the evidence that it needs now and before."""
    windows = [
        parse_duration(rule["labels"]["window"])
        for rule in RULES
        if rule.get("record") == "inference_probe:slo_evidence:log10"
    ]
    assert windows == [window.seconds for window in OBJECTIVE_MISSED.windows]
    (rule,) = alerts("ModelObjectiveMissed")
    holds, overruled = rule["expr"].split("unless on (cluster, namespace, job, probe, slo) (")
    assert conditions(holds) == [
        (window.seconds, window.current_seconds, window.current_factor)
        for window in OBJECTIVE_MISSED.windows
    ]
    # The windows of the first tier overrule the longer ones if their own share is as high.
    first = OBJECTIVE_MISSED.windows[0]
    assert conditions(overruled) == [
        (window.seconds, window.seconds, window.current_factor)
        for window in OBJECTIVE_MISSED.windows
        if window.current_seconds == first.current_seconds
    ]
    before = f"offset {format_duration(OBJECTIVE_MISSED.confirmation_seconds)}) > "
    assert f"{before}{OBJECTIVE_MISSED.evidence_before}" in rule["expr"]
    assert parse_duration(rule["keep_firing_for"]) == OBJECTIVE_MISSED.keep_firing_seconds


def test_high_latency() -> None:
    """The windows and the evidence of HighModelLatency, and its durations."""
    (rule,) = alerts("HighModelLatency")
    medium = format_duration(HIGH_LATENCY.medium_seconds)
    for part in (
        f":ratio{format_duration(HIGH_LATENCY.short_seconds)}\n",
        f":ratio{medium}\n",
        f":ratio{medium} offset {medium}\n",
        f'window="{format_duration(HIGH_LATENCY.long_seconds)}"}}) > {HIGH_LATENCY.evidence}',
    ):
        assert part in rule["expr"]
    assert parse_duration(rule["for"]) == HIGH_LATENCY.hold_seconds
    assert parse_duration(rule["keep_firing_for"]) == HIGH_LATENCY.keep_firing_seconds


def test_model_down() -> None:
    """The number of failures and the time without success of ModelDown."""
    (rule,) = (rule for rule in RULES if rule.get("record") == "inference_probe:down:count")
    assert f"> {MODEL_DOWN.failures} - 0.5" in rule["expr"]
    (recent,) = (
        rule["expr"]
        for rule in RULES
        if rule.get("record") == "inference_probe:last_success:recent"
    )
    silence = f"offset {format_duration(MODEL_DOWN.min_silence_seconds)}"
    assert silence in rule["expr"]
    assert silence in recent
    assert f"<= {MODEL_DOWN.intervals} * inference_probe_interval_seconds" in recent


def test_burns() -> None:
    """The window pairs of ModelErrorBudgetBurn, their factors and `for` durations."""
    for level, burns in (("page", PAGE_BURNS), ("ticket", TICKET_BURNS)):
        rules = alerts("ModelErrorBudgetBurn", slo_severity=level)
        assert [burn(rule) for rule in rules] == list(burns)


def test_pages_about_a_burn() -> None:
    """Pages are for objectives with `alert: page`, and need evidence in the long window."""
    for rule in alerts("ModelErrorBudgetBurn", slo_severity="page"):
        assert re.findall(r"slo_budget:ratio(\{.*?\})", rule["expr"]) == ['{alert="page"}'] * 2
        asked = f'{{alert="page", window="{rule["labels"]["long"]}"}} > {OBJECTIVE_MISSED.evidence}'
        assert re.findall(r"slo_evidence:log10(.*)", rule["expr"]) == [asked]


def test_tickets_about_a_burn() -> None:
    """Tickets are for objectives with any alert, and need no evidence."""
    for rule in alerts("ModelErrorBudgetBurn", slo_severity="ticket"):
        levels = re.findall(r"slo_budget:ratio(\{.*?\})", rule["expr"])
        assert levels == ['{alert=~"page|ticket"}'] * 2
        assert "slo_evidence" not in rule["expr"]


def test_usual_latency() -> None:
    """The usual latency is that of the three days before."""
    for name in ("quantile30m", "quantile1h"):
        (expression,) = (
            rule["expr"]
            for rule in RULES
            if rule.get("record") == f"inference_probe:latency_seconds_usual:{name}"
        )
        assert re.findall(rf":{name} offset (\w+)", expression) == ["1d", "2d", "3d"]


def burn(rule: dict[str, Any]) -> BurnRule:
    """Return the parameters of a rule."""
    factors = set(re.findall(r"\) ([\d.]+) \* ", rule["expr"]))
    assert len(factors) == 1
    short, long = rule["labels"]["short"], rule["labels"]["long"]
    assert re.findall(r"slo_bad:ratio(\w+)", rule["expr"]) == [short, long]
    return BurnRule(
        short_seconds=int(parse_duration(short)),
        long_seconds=int(parse_duration(long)),
        factor=float(factors.pop()),
        hold_seconds=int(parse_duration(rule["for"])),
        keep_firing_seconds=int(parse_duration(rule.get("keep_firing_for", "0s"))),
    )
