"""What a valid config does: which probes run, what they export, when their alerts fire."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache

from probe.check.advice import SignalDeadline, alert_timing, lint, signal_deadline
from probe.check.spending import SpendingForecast, forecast_spending
from probe.clock import Clock
from probe.config.settings import Objective, Probe, Settings
from probe.metrics.daemon_info import DaemonInfo
from probe.metrics.exposition import Exposition, MetricSource
from probe.metrics.possible_reasons import may_look_up_name
from probe.metrics.probe_series import SUSPENSION_REASONS
from probe.metrics.recorder import Recorder
from probe.result import STREAM_PHASES, Component, Phase, Result
from probe.scheduler.accounting import TickAccounting
from probe.scheduler.spending import SpendingMeter
from probe.scheduler.token_estimate import NO_ESTIMATE, estimate_counted_tokens
from probe.slo.alerts import BUDGET_PERIOD_SECONDS
from probe.slo.forecast import (
    HEALTHY_BUDGET_SHARE,
    AlertTiming,
    BrownOut,
    DetectionTime,
    FalseAlarms,
    PageThreshold,
)

# Bad ratios whose detection time is forecast.
FORECAST_BAD_RATIOS = (1.0, 0.5, 0.05)

# Shares of the error budget that a model spends, whose false alarms are forecast.
FORECAST_BUDGET_SHARES = (1.0, HEALTHY_BUDGET_SHARE)


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
    all_slow: DetectionTime | None
    """If all probes succeed, but too late for the objective. Without ModelDown, therefore."""
    brown_out: BrownOut | None
    """None if the objective does not page, or three budgets are 100 % or more."""


@dataclass(frozen=True, slots=True)
class SeriesCount:
    """Series after the first success: if servers report no times, and if they report all six."""

    without_server_times: int
    with_server_times: int

    def __add__(self, other: "SeriesCount") -> "SeriesCount":
        return SeriesCount(
            self.without_server_times + other.without_server_times,
            self.with_server_times + other.with_server_times,
        )

    def __sub__(self, other: "SeriesCount") -> "SeriesCount":
        return SeriesCount(
            self.without_server_times - other.without_server_times,
            self.with_server_times - other.with_server_times,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbePlan:
    """A probe, its numbers of series, and the forecasts of its cost and of its objectives."""

    probe: Probe
    series: SeriesCount
    spending: SpendingForecast | None
    forecasts: tuple[AlertForecast, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A config as the daemon would run it. `series` includes those of the daemon itself."""

    probes: tuple[ProbePlan, ...]
    series: SeriesCount
    advice: tuple[str, ...]


def plan(settings: Settings, *, replicas: int = 1) -> Plan:
    """Return the plan for a valid config, with the cost of `replicas` daemons.

    Raises OSError if a `body_file` cannot be read.
    """
    series_of_daemon = _count_series()
    estimates = {probe.name: estimate_counted_tokens(probe) for probe in settings.probes}
    # Many probes have the same interval and objective, and a forecast takes 1 ms of CPU.
    forecast = cache(_forecast)
    known_series: dict[object, SeriesCount] = {}

    def count_series(probe: Probe) -> SeriesCount:
        # Similar probes have the same series. To count them takes 1 ms of CPU.
        key = probe.shared_value_ids(), may_look_up_name(probe), probe.may_need_tls
        if key not in known_series:
            known_series[key] = _count_series(probe) - series_of_daemon
        return known_series[key]

    probes = tuple(
        ProbePlan(
            probe=probe,
            series=count_series(probe),
            spending=forecast_spending(probe, estimates[probe.name], replicas),
            forecasts=tuple(
                forecast(
                    objective, alert_timing(objective, probe), signal_deadline(objective, probe)
                )
                for objective in probe.objectives
            ),
        )
        for probe in settings.probes
    )
    return Plan(
        probes=probes,
        series=sum((planned.series for planned in probes), start=series_of_daemon),
        advice=tuple(lint(settings, estimates)),
    )


def _forecast(objective: Objective, timing: AlertTiming, deadline: SignalDeadline) -> AlertForecast:
    alerts = objective.alert != "none"
    threshold = objective.threshold
    can_be_slow = alerts and threshold is not None and threshold < deadline.seconds
    without_down = replace(timing, down="none")
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
        all_slow=without_down.detection_time(1.0) if can_be_slow else None,
        brown_out=timing.brown_out(),
    )


def _count_series(*probes: Probe) -> SeriesCount:
    """Count the series of a daemon with these probes. The recorder itself exports them here."""
    accounting = TickAccounting()
    recorder = Recorder(accounting)
    for probe in probes:
        accounting.add_probe(probe.name)
        spending = SpendingMeter(probe, NO_ESTIMATE, Clock())
        recorder.add_probe(probe, dict.fromkeys(SUSPENSION_REASONS, lambda: True), spending)
    counts = []
    for components in ((), Component):
        for probe in probes:
            payloads: list[str | None] = [item.name for item in probe.payloads] or [None]
            for payload in payloads:
                recorder.record(_success(probe, components, payload))
        counts.append(_count_samples(recorder, DaemonInfo(0)))
    return SeriesCount(*counts)


def _count_samples(*sources: MetricSource) -> int:
    exposition = Exposition(openmetrics=False)
    for source in sources:
        source.write_to(exposition)
    return sum(not line.startswith("#") for line in exposition.text().splitlines())


def _success(probe: Probe, components: Iterable[Component], payload: str | None) -> Result:
    """Return a success with these server times, and all else that a response may have."""
    return Result(
        probe=probe.name,
        started=datetime.fromtimestamp(0, UTC),
        phases=dict.fromkeys(_phases(probe), 0.0),
        status=200,
        server=dict.fromkeys(components, 0.0),
        payload=payload,
        version="1" if probe.version else None,
        segment="1" if probe.segment else None,
        certificate_not_after=0.0 if probe.may_need_tls else None,
    )


def _phases(probe: Probe) -> Iterator[Phase]:
    """Yield the phases that a success on a new connection has, or may have."""
    if may_look_up_name(probe):
        yield Phase.DNS
    yield Phase.CONNECT
    if probe.may_need_tls:
        yield Phase.TLS
    yield from (Phase.SEND, Phase.WAIT)
    yield from STREAM_PHASES if probe.stream else (Phase.RECEIVE,)
