"""A scenario: scripted daemons, and the alerts that must fire at given times."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

from tests.rules.daemon import Target

EVALUATION = 30
# Scrape intervals (seconds). The default run of the tests uses 30 s.
SCRAPES = (15, 30, 60)
MINUTE, HOUR = 60, 3600
DAY = 24 * HOUR
PAGES = ("ModelDown", "ModelObjectiveMissed", "InferenceProbeAbsent", "InferenceProbeNoData")
PAGE = {"severity": "critical", "slo_severity": "page"}
TICKET = {"severity": "warning", "slo_severity": "ticket"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Expects that `expr` has exactly `samples` (series to value) at `at` seconds."""

    at: float
    expr: str
    samples: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Scripted daemons and checks, for each of the scrape intervals (seconds)."""

    name: str
    targets: tuple[Target, ...]
    checks: tuple[Check, ...]
    scrapes: tuple[int, ...] = SCRAPES


def case(
    name: str, *targets: Target, checks: tuple[Check, ...], scrapes: tuple[int, ...] = SCRAPES
) -> Scenario:
    return Scenario(name=name, targets=targets, checks=checks, scrapes=scrapes)


def alert(name: str, **labels: str) -> str:
    """Return the series of a firing alert. A label "" is removed."""
    pairs = {
        "alertname": name,
        "alertstate": "firing",
        "job": "inference-probe",
        "probe": "sentiment",
        **(PAGE if name in PAGES else TICKET),
        **labels,
    }
    return "ALERTS{" + ", ".join(f'{k}="{v}"' for k, v in sorted(pairs.items()) if v) + "}"


def absent(**labels: str) -> str:
    return alert("InferenceProbeAbsent", **{"probe": "", **labels})


def burn(short: str, long: str, **labels: str) -> str:
    level = PAGE if short in ("5m", "30m") else TICKET
    pairs = {"short": short, "long": long, "slo": "fast", **level, **labels}
    return alert("ModelErrorBudgetBurn", **pairs)


def high_latency(**labels: str) -> str:
    return alert("HighModelLatency", **{"slo": "fast", **labels})


def missed(**labels: str) -> str:
    return alert("ModelObjectiveMissed", **{"slo": "fast", **labels})


def no_data(**labels: str) -> str:
    return alert("InferenceProbeNoData", **{"slo": "fast", "instance": "probe:10115", **labels})


def instance_alert(name: str, **labels: str) -> str:
    """Return an alert that has an instance and no probe."""
    return alert(name, **{"instance": "probe:10115", "probe": "", **labels})


def firing(at: float, *alerts: str, name: str = ".+") -> Check:
    """Expect that exactly `alerts` are firing, of those whose name matches `name`."""
    expr = f'ALERTS{{alertname=~"{name}", alertstate="firing"}}'
    return Check(at=at, expr=expr, samples=dict.fromkeys(alerts, 1))


def silent(start: float, end: float, name: str = ".+") -> Check:
    """Expect that no alert whose name matches `name` fires from `start` to `end`."""
    expr = (
        f'count_over_time(ALERTS{{alertname=~"{name}", alertstate="firing"}}[{end - start:.0f}s])'
    )
    return Check(at=end, expr=expr, samples={})


def throughout(start: float, end: float, name: str) -> Check:
    """Expect that an alert whose name matches `name` fires all the time from `start` to `end`."""
    alerts = f'count(ALERTS{{alertname=~"{name}", alertstate="firing"}})'
    expr = f"min_over_time(({alerts} or vector(0))[{end - start:.0f}s:{EVALUATION}s]) > bool 0"
    return Check(at=end, expr=expr, samples={"{}": 1})


def promtool_group(scenario: Scenario, scrape: int) -> dict[str, Any]:
    """Return the scenario as a test group of promtool, with `scrape` seconds between samples."""
    return {
        "name": f"{scenario.name} (scraped every {scrape} s)",
        "interval": f"{scrape}s",
        "input_series": [
            {"series": series, "values": values} for series, values in _recorded(scenario, scrape)
        ],
        "promql_expr_test": [
            {
                "expr": check.expr,
                "eval_time": f"{check.at:.0f}s",
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
    """Return values in promtool's notation: `a+bxN` is a and N more, each b higher.

    None is a missing sample.
    """
    runs: list[str] = []
    index = 0
    while index < len(values):
        run, length = _run(values, index)
        runs.append(run)
        index += length
    return " ".join(runs)


def _run(values: list[float | None], start: int) -> tuple[str, int]:
    first = values[start]
    if first is None:
        if start and values[start - 1] is not None:
            return "stale", 1
        length = _leading_equal(values[i] for i in range(start, len(values)))
        return f"_x{length}", length
    length = _leading_equal(_steps(values, start))
    if length == 0:
        return f"{first:.10g}", 1
    second = values[start + 1]
    assert second is not None
    return f"{first:.10g}{round(second - first, 6):+.10g}x{length}", length + 1


def _steps(values: list[float | None], start: int) -> Iterator[float]:
    for a, b in pairwise(values[i] for i in range(start, len(values))):
        if a is None or b is None:
            return
        yield round(b - a, 6)


def _leading_equal(values: Iterable[float | None]) -> int:
    """Return how many values at the beginning are equal to the first."""
    _, group = next(groupby(values), (None, ()))
    return sum(1 for _ in group)
