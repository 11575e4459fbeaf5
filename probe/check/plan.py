"""What `check` says of a config that is valid: what will run, what it costs, when it will alert."""

from dataclasses import dataclass
from datetime import UTC, datetime

from probe.check.advice import alert_timing, lint
from probe.config.schema import Objective, Probe, Settings
from probe.metrics.daemon_info import DaemonInfo
from probe.metrics.exposition import Exposition
from probe.metrics.recorder import SUSPENSION_REASONS, Recorder
from probe.result import Result
from probe.scheduler.accounting import TickAccounting
from probe.slo.alerts import BUDGET_PERIOD_SECONDS
from probe.slo.forecast import COMFORTABLE, DetectionTime, FalseAlarms, PageThreshold

FORECAST_BAD_RATIOS = (1.0, 0.5, 0.05)
"""Shares of bad probes whose detection is predicted."""

FORECAST_USED_RATIOS = (1.0, COMFORTABLE)
"""Shares of the budget that a model spends whose false alarms are predicted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertForecast:
    """What the rules will make of one objective."""

    objective: Objective
    budget_probes: float  # that may be bad in 30 days
    needs: tuple[PageThreshold, ...]
    burn_needs: tuple[tuple[PageThreshold, PageThreshold], ...]
    false_alarms: tuple[FalseAlarms, ...]
    found: tuple[DetectionTime, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbePlan:
    """A probe, what it stores and what becomes of its objectives."""

    probe: Probe
    series: int
    predictions: tuple[AlertForecast, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The daemon as it would run."""

    probes: tuple[ProbePlan, ...]
    series: int
    advice: tuple[str, ...]


def plan(settings: Settings) -> Plan:
    """`series` are those that Prometheus scrapes, of one probe and of all with the daemon's."""
    return Plan(
        probes=tuple(_planned(probe) for probe in settings.probes),
        series=_series(*settings.probes),
        advice=tuple(lint(settings)),
    )


def _planned(probe: Probe) -> ProbePlan:
    return ProbePlan(
        probe=probe,
        series=_series(probe) - _series(),
        predictions=tuple(_predict(objective, probe) for objective in probe.objectives),
    )


def _predict(objective: Objective, probe: Probe) -> AlertForecast:
    its = alert_timing(objective, probe)
    silent = objective.alert == "none"
    return AlertForecast(
        objective=objective,
        budget_probes=its.budget * BUDGET_PERIOD_SECONDS / its.interval,
        needs=tuple(its.needs()) if its.pages else (),
        burn_needs=tuple(its.burn_needs()) if its.pages else (),
        false_alarms=tuple(
            its.false_alarms(its.budget * used) for used in FORECAST_USED_RATIOS if not silent
        ),
        found=tuple(its.found(share) for share in FORECAST_BAD_RATIOS if not silent),
    )


def _series(*probes: Probe) -> int:
    """As a daemon shows them once each probe has succeeded."""
    ledger = TickAccounting()
    recorder = Recorder(ledger)
    for probe in probes:
        ledger.add_probe(probe.name)
        recorder.add_probe(probe, dict.fromkeys(SUSPENSION_REASONS, lambda: True))
        recorder.record(_success(probe))
    page = Exposition(openmetrics=False)
    for source in (recorder, DaemonInfo(0)):
        source.write_to(page)
    return sum(not line.startswith("#") for line in page.text().splitlines())


def _success(probe: Probe) -> Result:
    expires = 0.0 if probe.url.source.lower().startswith("https:") else None
    started = datetime.fromtimestamp(0, UTC)
    return Result(probe=probe.name, started=started, phases={}, certificate_not_after=expires)
