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

RULES = Path(__file__).parents[2] / "rules" / "inference-probe.rules.yml"
GROUPS = yaml.safe_load(RULES.read_text())["groups"]
RECORDINGS = [rule for group in GROUPS for rule in group["rules"] if "record" in rule]


def alerts(name: str, **labels: str) -> list[dict[str, Any]]:
    rules = [rule for group in GROUPS for rule in group["rules"] if rule.get("alert") == name]
    return [rule for rule in rules if labels.items() <= rule["labels"].items()]


def test_intervals() -> None:
    """The rule groups with alerts have these evaluation intervals."""
    intervals = [
        parse_duration(group["interval"])
        for group in GROUPS
        if any("alert" in rule for rule in group["rules"])
    ]
    assert intervals == [
        *[EVALUATION_INTERVAL_SECONDS] * 3,
        LONG_EVALUATION_INTERVAL_SECONDS,
    ]


def test_objective_missed() -> None:
    """The windows of ModelObjectiveMissed, and the evidence that it needs now and before."""
    windows = [
        parse_duration(rule["labels"]["window"])
        for rule in RECORDINGS
        if rule["record"] == "inference_probe:slo_evidence:log10"
    ]
    assert windows == list(OBJECTIVE_MISSED.windows_seconds)
    (rule,) = alerts("ModelObjectiveMissed")
    assert re.findall(r"> ([\d.]+)", rule["expr"]) == [*["6"] * 5, "2"]
    assert (OBJECTIVE_MISSED.evidence, OBJECTIVE_MISSED.evidence_before) == (6, 2)
    assert f"offset {format_duration(OBJECTIVE_MISSED.confirmation_seconds)}" in rule["expr"]


def test_high_latency() -> None:
    """The window of HighModelLatency, and its `for` duration."""
    (rule,) = alerts("HighModelLatency")
    assert f":ratio{format_duration(HIGH_LATENCY.window_seconds)}" in rule["expr"]
    assert parse_duration(rule["for"]) == HIGH_LATENCY.hold_seconds


def test_model_down() -> None:
    """The number of failures and the time without success of ModelDown."""
    (rule,) = alerts("ModelDown")
    assert f"> {MODEL_DOWN.failures} - 0.5" in rule["expr"]
    (recent,) = (
        rule["expr"]
        for rule in RECORDINGS
        if rule["record"] == "inference_probe:last_success:recent"
    )
    assert f"[{format_duration(MODEL_DOWN.min_silence_seconds)}]" in recent
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
            for rule in RECORDINGS
            if rule["record"] == f"inference_probe:latency_seconds_usual:{name}"
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
    )
