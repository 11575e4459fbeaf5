"""Scenarios: scripted daemons, and the alerts that must fire at certain times."""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.rules.scripted_target import Target

EVALUATION_SECONDS = 30
# Scrape intervals. The default run of the tests uses 30 s.
SCRAPE_SECONDS = (15, 30, 60)
MINUTE, HOUR = 60, 3600
DAY = 24 * HOUR
# A change reaches the alerts with the next scrape (60 s at most) and the next evaluation (30 s).
DELAY = 90
DEFAULT_LABELS = {"job": "inference-probe", "instance": "probe:10115"}
PAGES = (
    "ModelDown",
    "ModelObjectiveMissed",
    "InferenceProbeAbsent",
    "InferenceProbeIsolated",
    "InferenceProbeNoData",
)
PAGE = {"severity": "critical", "slo_severity": "page"}
TICKET = {"severity": "warning", "slo_severity": "ticket"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The samples, by series, that `expr` must have at `at` (seconds); no others."""

    at: float
    expr: str
    samples: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Targets, and what the rules must make of them at each of the scrape intervals."""

    name: str
    targets: tuple[Target, ...]
    checks: tuple[Check, ...]
    scrape_seconds: tuple[int, ...] = SCRAPE_SECONDS


def scenario(
    name: str,
    *targets: Target,
    checks: tuple[Check, ...],
    scrape_seconds: tuple[int, ...] = SCRAPE_SECONDS,
) -> Scenario:
    return Scenario(name=name, targets=targets, checks=checks, scrape_seconds=scrape_seconds)


def alert(name: str, **labels: str) -> str:
    """Return the series of a firing alert with the default job and probe; "" removes a label."""
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
    defaults = {"short": short, "long": long, "slo": "fast", **level}
    return alert("ModelErrorBudgetBurn", **{**defaults, **labels})


def high_latency(**labels: str) -> str:
    return alert("HighModelLatency", **{"slo": "fast", **labels})


def missed(**labels: str) -> str:
    return alert("ModelObjectiveMissed", **{"slo": "fast", **labels})


def no_data(**labels: str) -> str:
    return alert("InferenceProbeNoData", **{"slo": "fast", "instance": "probe:10115", **labels})


def histogram_missing(**labels: str) -> str:
    return alert("InferenceProbeHistogramMissing", **{"probe": "", **labels})


def episodes(end: float, name: str, maximum: int) -> Check:
    """Check that the alerts with this name begin to fire at most `maximum` times up to `end`."""
    alerts = f'ALERTS{{alertname=~"{name}", alertstate="firing"}}'
    starts = f"({alerts} unless {alerts} offset {EVALUATION_SECONDS}s)"
    count = f"sum(count_over_time({starts}[{end:.0f}s:{EVALUATION_SECONDS}s])) or vector(0)"
    return Check(at=end, expr=f"({count}) <= bool {maximum}", samples={"{}": 1})


def instance_alert(name: str, **labels: str) -> str:
    """Return the series of a firing alert about an instance, not about one of its probes."""
    return alert(name, **{"instance": "probe:10115", "probe": "", **labels})


def firing(at: float, *alerts: str, name: str = ".+") -> Check:
    """Check that exactly `alerts` fire, of the alerts whose name matches `name`."""
    expr = f'ALERTS{{alertname=~"{name}", alertstate="firing"}}'
    return Check(at=at, expr=expr, samples=dict.fromkeys(alerts, 1))


def silent(start: float, end: float, name: str = ".+") -> Check:
    """Check that no alert fires at any evaluation after `start` and up to `end`."""
    expr = (
        f'count_over_time(ALERTS{{alertname=~"{name}", alertstate="firing"}}[{end - start:.0f}s])'
    )
    return Check(at=end, expr=expr, samples={})


def throughout(start: float, end: float, name: str) -> Check:
    """Check that an alert fires at every evaluation after `start` and up to `end`."""
    alerts = f'count(ALERTS{{alertname=~"{name}", alertstate="firing"}})'
    subquery = f"({alerts} or vector(0))[{end - start:.0f}s:{EVALUATION_SECONDS}s]"
    return Check(at=end, expr=f"min_over_time({subquery}) > bool 0", samples={"{}": 1})
