"""What a valid config does: which probes run, what they export, when their alerts fire."""

from dataclasses import dataclass
from datetime import UTC, datetime

from probe.check.advice import alert_timing, lint
from probe.config.schema import Objective, Probe, Settings
from probe.metrics.daemon_info import DaemonInfo
from probe.metrics.exposition import Exposition
from probe.metrics.recorder import SUSPENSION_REASONS, Recorder
from probe.result import Component, Result
from probe.scheduler.accounting import TickAccounting
from probe.slo.alerts import BUDGET_PERIOD_SECONDS
from probe.slo.forecast import COMFORTABLE, BrownOut, DetectionTime, FalseAlarms, PageThreshold

# Bad ratios whose detection time is forecast.
FORECAST_BAD_RATIOS = (1.0, 0.5, 0.05)

# Shares of the error budget that a model spends, whose false alarms are forecast.
FORECAST_BUDGET_SHARES = (1.0, COMFORTABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertForecast:
    """Forecast of the alerts of one objective."""

    objective: Objective
    budget_probes: float
    """Number of probes that may be bad in 30 days."""
    page_thresholds: tuple[PageThreshold, ...]
    burn_page_thresholds: tuple[tuple[PageThreshold, PageThreshold], ...]
    false_alarms: tuple[FalseAlarms, ...]
    detection_times: tuple[DetectionTime, ...]
    brown_out: BrownOut | None
    """None for an objective that does not page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbePlan:
    """A probe, the most series that it exports, and the forecasts of its objectives."""

    probe: Probe
    series: int
    forecasts: tuple[AlertForecast, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A config as the daemon would run it. `series` includes those of the daemon itself."""

    probes: tuple[ProbePlan, ...]
    series: int
    advice: tuple[str, ...]


def plan(settings: Settings) -> Plan:
    """Return the plan for a valid config."""
    return Plan(
        probes=tuple(_probe_plan(probe) for probe in settings.probes),
        series=_max_series(*settings.probes),
        advice=tuple(lint(settings)),
    )


def _probe_plan(probe: Probe) -> ProbePlan:
    return ProbePlan(
        probe=probe,
        series=_max_series(probe) - _max_series(),
        forecasts=tuple(_forecast(objective, probe) for objective in probe.objectives),
    )


def _forecast(objective: Objective, probe: Probe) -> AlertForecast:
    timing = alert_timing(objective, probe)
    alerts = objective.alert != "none"
    return AlertForecast(
        objective=objective,
        budget_probes=timing.budget * BUDGET_PERIOD_SECONDS / timing.interval,
        page_thresholds=tuple(timing.page_thresholds()) if timing.pages else (),
        burn_page_thresholds=tuple(timing.burn_page_thresholds()) if timing.pages else (),
        false_alarms=tuple(
            timing.false_alarms(timing.budget * share) for share in FORECAST_BUDGET_SHARES if alerts
        ),
        detection_times=tuple(
            timing.detection_time(ratio) for ratio in FORECAST_BAD_RATIOS if alerts
        ),
        brown_out=timing.brown_out(),
    )


def _max_series(*probes: Probe) -> int:
    """Return the most series that a daemon with these probes exports.

    The recorder itself exports them here, after a result with every optional part.
    """
    accounting = TickAccounting()
    recorder = Recorder(accounting)
    for probe in probes:
        accounting.add_probe(probe.name)
        recorder.add_probe(probe, dict.fromkeys(SUSPENSION_REASONS, lambda: True))
        recorder.record(_complete_result(probe))
    exposition = Exposition(openmetrics=False)
    for source in (recorder, DaemonInfo(0)):
        source.write_to(exposition)
    return sum(not line.startswith("#") for line in exposition.text().splitlines())


def _complete_result(probe: Probe) -> Result:
    """Return a response with all server times, and a certificate if the probe may use TLS."""
    return Result(
        probe=probe.name,
        started=datetime.fromtimestamp(0, UTC),
        phases={},
        status=200,
        server=dict.fromkeys(Component, 0.0),
        certificate_not_after=0.0 if probe.may_need_tls else None,
    )
