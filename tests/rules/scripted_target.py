"""The series that a scripted daemon exposes at each scrape. Times are seconds."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise, product
from math import inf
from typing import TypeVar

from tests.rules.scripted_counters import (
    FAILURE_REASONS,
    LAG_BUCKETS,
    SKIP_REASONS,
    CounterLifetime,
)
from tests.rules.scripted_probe import FOR_COLD_START, OVER_BUDGET, PAUSED, Probe

T = TypeVar("T")
Exposition = dict[str, float]  # series in promtool's notation, to their values
Sample = tuple[str, dict[str, str], float]  # name without prefix, labels, value


@dataclass(frozen=True)
class Target:
    """A daemon as Prometheus scrapes it.

    It starts at each of `starts` and stops at `stops`. From then on its `up` is 0, or absent if the
    target was `deleted`. The scrapes at `failed_scrapes` fail. From each time in `reloads` on, the
    last reload was successful (1) or not (0). Its clock is `clock_ahead` seconds ahead. With
    `native_histograms`, Prometheus has no classic series of the latency.
    """

    probes: tuple[Probe, ...]
    labels: Mapping[str, str] = field(
        default_factory=lambda: {"job": "inference-probe", "instance": "probe:10115"}
    )
    starts: tuple[float, ...] = (0,)
    stops: float = inf
    deleted: bool = False
    failed_scrapes: tuple[float, ...] = ()
    startup_grace: float = 300
    reloads: Mapping[float, float] = field(default_factory=lambda: {-inf: 1})
    clock_ahead: float = 0
    native_histograms: bool = False

    def scrapes(self, times: Sequence[float]) -> list[Exposition]:
        """Return the samples of the scrape at each of `times`; an absent target has none."""
        scrape = self.scraper(times[-1] + 1)
        return [scrape(time) for time in times]

    def scraper(self, horizon: float) -> Callable[[float], Exposition]:
        """Return a function that takes a time before `horizon` and returns the samples."""
        lifetimes = list(self._lifetimes(horizon))
        return lambda time: self._scrape(time, lifetimes)

    def _scrape(self, time: float, lifetimes: list[CounterLifetime]) -> Exposition:
        if time < self.starts[0] or (self.deleted and time >= self.stops):
            return {}
        if time in self.failed_scrapes or time >= self.stops:
            return {self._series("up"): 0}
        current = [lifetime for lifetime in lifetimes if lifetime.start <= time < lifetime.end]
        return {
            self._series("up"): 1,
            self._series("inference_probe_build_info", version="1"): 1,
            self._series("process_start_time_seconds"): max(
                start for start in self.starts if start <= time
            )
            + self.clock_ahead,
            self._series("inference_probe_config_last_reload_successful"): _value_at(
                self.reloads, time
            ),
            **{
                self._series("inference_probe_schedule_lag_seconds_bucket", le=le): sum(
                    lifetime.started(time, le) for lifetime in current
                )
                for le in LAG_BUCKETS
            },
            **{
                self._series(f"inference_probe_{name}", probe=lifetime.probe.name, **labels): value
                for lifetime in current
                for name, labels, value in self._probe_samples(lifetime, time)
            },
        }

    def _lifetimes(self, horizon: float) -> Iterator[CounterLifetime]:
        for probe in self.probes:
            resets = sorted({*self.starts, *probe.histogram_resets, horizon})
            for start, end in pairwise(resets):
                grace = 0 if start in probe.histogram_resets else self.startup_grace
                yield CounterLifetime(probe, start, end, grace)

    def _probe_samples(self, lifetime: CounterLifetime, time: float) -> Iterator[Sample]:
        yield "info", {"url": lifetime.probe.url}, 1
        if lifetime.probe.versions:
            yield "version_info", {"version": _value_at(lifetime.probe.versions, time)}, 1
        yield from _alert_samples(lifetime.probe)
        yield "interval_seconds", {}, lifetime.probe.interval
        yield "timeout_seconds", {}, lifetime.probe.timeout
        yield from _tick_samples(lifetime, time)
        yield from _state_samples(lifetime, time)
        last_success = lifetime.last_success(time)
        if last_success is not None:
            yield "last_success_timestamp_seconds", {}, last_success + self.clock_ahead
        yield from _objective_samples(lifetime.probe, time)
        if not self.native_histograms:
            for signal in lifetime.probe.signals:
                yield from _signal_samples(lifetime, time, signal)
        for signal in lifetime.probe.signals[1:]:
            yield "signal_missing_total", {"signal": signal}, lifetime.missing(time, signal)
        yield from _phase_samples(lifetime, time)

    def _series(self, name: str, **labels: str) -> str:
        return _series(name, tuple(self.labels.items()), **labels)


@cache  # most of the time of rendering, otherwise
def _series(name: str, target: tuple[tuple[str, str], ...], **labels: str) -> str:
    """Return a series; Prometheus renames a label that the target has, too."""
    renamed = {f"exported_{key}" if key in dict(target) else key: labels[key] for key in labels}
    pairs = sorted({**dict(target), **renamed}.items())
    return name + "{" + ", ".join(f'{key}="{value}"' for key, value in pairs) + "}"


def _alert_samples(probe: Probe) -> Iterator[Sample]:
    if probe.down:
        yield "alert_info", {"down": probe.down, **probe.alert_labels}, 1
    if probe.alert_labels:
        for objective in probe.objectives:
            yield "slo_alert_info", {"slo": objective.slo, **probe.alert_labels}, 1


def _tick_samples(lifetime: CounterLifetime, time: float) -> Iterator[Sample]:
    yield "ticks_total", {}, lifetime.ticks(time)
    for reason in SKIP_REASONS:
        if reason == "budget" and not lifetime.probe.has_budget:
            continue
        if reason == "cold" and not lifetime.probe.measures_cold_starts:
            continue
        yield "skipped_total", {"reason": reason}, lifetime.skipped(time, reason)
    for reason in FAILURE_REASONS:
        yield "failures_total", {"reason": reason}, lifetime.failures(time, reason)


def _state_samples(lifetime: CounterLifetime, time: float) -> Iterator[Sample]:
    paused = lifetime.probe.outcome(time) is PAUSED
    yield "suspended", {"reason": "startup"}, float(time < lifetime.suspended_until)
    yield "suspended", {"reason": "paused"}, float(paused)
    if lifetime.probe.has_budget:
        over_budget = lifetime.probe.outcome(time) is OVER_BUDGET
        yield "suspended", {"reason": "budget"}, float(over_budget)
        yield "budget_used_ratio", {"budget": "tokens_per_day"}, 0.998
    if lifetime.probe.measures_cold_starts:
        is_suspended = lifetime.probe.outcome(time) is FOR_COLD_START
        yield "suspended", {"reason": "cold"}, float(is_suspended)
    if lifetime.probe.certificates:
        expires = _value_at(lifetime.probe.certificates, time)
        yield "tls_certificate_not_after_timestamp_seconds", {}, expires


def _objective_samples(probe: Probe, time: float) -> Iterator[Sample]:
    for objective in probe.objectives:
        if objective.since <= time < objective.until:
            labels = {
                "slo": objective.slo,
                "threshold": objective.threshold,
                "alert": objective.alert,
                "signal": objective.signal,
            }
            yield "slo_objective_ratio", labels, objective.target


def _signal_samples(lifetime: CounterLifetime, time: float, signal: str) -> Iterator[Sample]:
    buckets = lifetime.probe.buckets
    for outcome, success in (("success", True), ("failure", False)):
        for le in buckets:
            labels = {"outcome": outcome, "le": le}
            yield f"{signal}_seconds_bucket", labels, lifetime.results(time, success, le, signal)
        count = lifetime.results(time, success, signal=signal)
        yield f"{signal}_seconds_count", {"outcome": outcome}, count


def _phase_samples(lifetime: CounterLifetime, time: float) -> Iterator[Sample]:
    for phase, le in product(lifetime.probe.phases, lifetime.probe.buckets):
        labels = {"phase": phase, "le": le}
        yield "phase_seconds_bucket", labels, lifetime.results(time, True, le)


def _value_at(values: Mapping[float, T], time: float) -> T:
    """Return the value of the latest start that is not after `time`."""
    return values[max(start for start in values if start <= time)]
