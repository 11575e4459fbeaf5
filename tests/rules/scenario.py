"""A scenario: daemons, what becomes of them, and which alerts must be firing when."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .daemon import Target

EVALUATION = 30
SCRAPES = (15, 30, 60)
MINUTE, HOUR = 60, 3600
LEVELS = {
    "HighModelLatency": ("warning", "ticket"),
    "ModelDown": ("critical", "page"),
    "InferenceProbeAbsent": ("critical", "page"),
    "InferenceProbeNoData": ("critical", "page"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """At `at` seconds `expr` has exactly these samples: series to value."""

    at: float
    expr: str
    samples: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Daemons, and what Prometheus must make of them at each of these scrape intervals."""

    name: str
    targets: tuple[Target, ...]
    checks: tuple[Check, ...]
    scrapes: tuple[int, ...] = SCRAPES


def case(
    name: str, *targets: Target, checks: tuple[Check, ...], scrapes: tuple[int, ...] = SCRAPES
) -> Scenario:
    return Scenario(name=name, targets=targets, checks=checks, scrapes=scrapes)


def alert(name: str, severity: str = "", slo_severity: str = "", **labels: str) -> str:
    """The series of a firing alert, with the labels of the default target and probe."""
    levels = (severity, slo_severity) if severity else LEVELS[name]
    pairs = {
        "alertname": name,
        "alertstate": "firing",
        "severity": levels[0],
        "slo_severity": levels[1],
        "job": "inference-probe",
        **({} if name == "InferenceProbeAbsent" else {"probe": "sentiment"}),
        **labels,
    }
    return "ALERTS{" + ", ".join(f'{k}="{v}"' for k, v in sorted(pairs.items()) if v) + "}"


def high_latency(**labels: str) -> str:
    return alert("HighModelLatency", **{"slo": "fast", "alert": "page", **labels})


def no_data(**labels: str) -> str:
    return alert("InferenceProbeNoData", **{"slo": "fast", "instance": "probe:10115", **labels})


def firing(at: float, *alerts: str) -> Check:
    """Exactly these alerts are firing, with exactly these labels."""
    return Check(at=at, expr='ALERTS{alertstate="firing"}', samples=dict.fromkeys(alerts, 1))


def silent(start: float, end: float, name: str = ".+") -> Check:
    """No alert of that name fires at any evaluation after `start` and up to `end`."""
    expr = f'count_over_time(ALERTS{{alertname=~"{name}", alertstate="firing"}}[{end - start:g}s])'
    return Check(at=end, expr=expr, samples={})


def throughout(start: float, end: float, name: str) -> Check:
    """An alert of that name is firing at every evaluation after `start` and up to `end`."""
    alerts = f'count(ALERTS{{alertname=~"{name}", alertstate="firing"}})'
    expr = f"min_over_time(({alerts} or vector(0))[{end - start:g}s:{EVALUATION}s]) > bool 0"
    return Check(at=end, expr=expr, samples={"{}": 1})


def promtool_group(scenario: Scenario, scrape: int) -> dict[str, Any]:
    """The scenario as promtool reads it, `scrape` seconds between the samples."""
    return {
        "name": f"{scenario.name} (scraped every {scrape} s)",
        "interval": f"{scrape}s",
        "input_series": [
            {"series": series, "values": values} for series, values in _recorded(scenario, scrape)
        ],
        "promql_expr_test": [
            {
                "expr": check.expr,
                "eval_time": f"{check.at:g}s",
                "exp_samples": [{"labels": k, "value": v} for k, v in check.samples.items()],
            }
            for check in scenario.checks
        ],
    }


def _recorded(scenario: Scenario, scrape: int) -> Iterator[tuple[str, str]]:
    end = max(check.at for check in scenario.checks)
    times = range(0, int(end) + 1, scrape)
    for target in scenario.targets:
        seen = target.scrapes(times)
        for series in sorted({series for exposition in seen for series in exposition}):
            yield series, notation([exposition.get(series) for exposition in seen])


def notation(values: list[float | None]) -> str:
    """Promtool's short form: `a+bxN` is a and N more, each b higher; None is no sample."""
    words: list[str] = []
    index = 0
    while index < len(values):
        word, length = _run(values, index)
        words.append(word)
        index += length
    return " ".join(words)


def _run(values: list[float | None], start: int) -> tuple[str, int]:
    first = values[start]
    if first is None:
        if start and values[start - 1] is not None:
            return "stale", 1
        length = _same([value is None for value in values[start:]])
        return f"_x{length}", length
    pairs = zip(values[start:], values[start + 1 :], strict=False)
    steps = [None if b is None or a is None else round(b - a, 6) for a, b in pairs]
    length = _same(steps) if steps and steps[0] is not None else 0
    if length == 0:
        return f"{first:.10g}", 1
    return f"{first:.10g}{steps[0]:+.10g}x{length}", length + 1


def _same(values: list[Any]) -> int:
    return next((i for i, value in enumerate(values) if value != values[0]), len(values))
