"""Counts results and exports the counts. Ticks are counted by `scheduler.accounting`."""

import dataclasses
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from probe.config.schema import Objective, Probe
from probe.metrics import catalogue
from probe.metrics.catalogue import MetricSpec
from probe.metrics.exposition import Exposition, format_labels, format_sample, format_value
from probe.metrics.histogram import (
    COARSE_BUCKETS,
    DELAY_BUCKETS,
    LATENCY_BUCKETS,
    NETWORK_BUCKETS,
    Histogram,
)
from probe.metrics.spending_metrics import SPENDING_METRICS, spending_lines
from probe.metrics.stream_metrics import STREAM_METRICS, StreamMetrics
from probe.redaction import redact_config_url
from probe.result import (
    STREAM_PHASES,
    CertificateExpiry,
    Component,
    Outcome,
    Phase,
    Reason,
    Result,
    Signal,
    SkipReason,
)
from probe.scheduler.accounting import TickAccounting, TickCounts
from probe.scheduler.spending import SpendingMeter

# Values of the label `reason` of inference_probe_suspended.
SUSPENSION_REASONS = ("startup", "paused", "budget")


@dataclass(slots=True)
class _Record:
    """Counts of one probe."""

    probe: Probe
    # Text of the label `probe`, with which the labels of each series of this probe begin.
    labels: str
    latency: Mapping[Outcome, Histogram]
    phases: dict[Phase, Histogram]
    server: dict[Component, Histogram]
    # Bucket bounds of the times that the server reports, and of the latency of failures.
    coarse_bounds: Sequence[float]
    suspended: Mapping[str, Callable[[], bool]]
    spending: SpendingMeter | None
    failures: Counter[Reason] = field(default_factory=Counter)
    server_ignored: int = 0
    merged_reads: int = 0
    last_run: float | None = None
    last_success: float | None = None
    # Whether the last result is a success, and its status code. None before the first result.
    succeeded: bool | None = None
    status: int | None = None
    certificate: CertificateExpiry = field(default_factory=CertificateExpiry)
    # None unless the responses of the probe are streams.
    stream: StreamMetrics | None = None


def _new_record(
    probe: Probe, suspended: Mapping[str, Callable[[], bool]], spending: SpendingMeter | None
) -> _Record:
    thresholds = {signal: probe.thresholds(signal) for signal in Signal}
    coarse_bounds = probe.phase_buckets or COARSE_BUCKETS
    return _Record(
        probe=probe,
        labels=format_labels({"probe": probe.name}),
        latency={
            Outcome.SUCCESS: Histogram(
                (*(probe.buckets or LATENCY_BUCKETS), *thresholds[Signal.LATENCY])
            ),
            Outcome.FAILURE: Histogram(coarse_bounds),
        },
        phases={phase: _phase_histogram(probe, phase) for phase in _preset_phases(probe)},
        # Only components that the config maps are known in advance. The others are added by the
        # first Server-Timing: six components preset to 0 would be 66 series per probe, mostly
        # unused.
        server={timing.component: Histogram(coarse_bounds) for timing in probe.server_timing},
        coarse_bounds=coarse_bounds,
        suspended=suspended,
        spending=spending,
        stream=StreamMetrics(coarse_bounds, thresholds) if probe.stream else None,
    )


def _event_keys(probe: Probe, signal: Signal) -> set[tuple[str, Signal, float | None]]:
    return {item.event_key for item in probe.objectives if item.signal is signal}


def _preset_phases(probe: Probe) -> list[Phase]:
    """Return the phases of a probe that are preset to 0.

    A redirect in front of a stream adds `receive`.
    """
    absent = {Phase.RECEIVE} if probe.stream else {*STREAM_PHASES}
    return [phase for phase in Phase if phase not in absent]


def _phase_histogram(probe: Probe, phase: Phase) -> Histogram:
    """Return the histogram of a phase, by default with fine bounds if the model works in it."""
    model_works = phase in (Phase.WAIT, Phase.RECEIVE, *STREAM_PHASES)
    return Histogram(probe.phase_buckets or (LATENCY_BUCKETS if model_works else NETWORK_BUCKETS))


def _updated_record(old: _Record, probe: Probe, now: float) -> _Record:
    """Return the record for the new settings `probe`, with all counts that keep their meaning.

    A histogram is reset in all of its series if one of its bounds changes. A new objective or
    threshold also resets the histogram of its signal: Prometheus may still have old samples of this
    threshold's bucket, and would count the requests in between twice. After a change of the URL the
    certificate is unknown until the next run.
    """
    new = _new_record(probe, old.suspended, old.spending)
    unchanged = {
        signal for signal in Signal if _event_keys(probe, signal) <= _event_keys(old.probe, signal)
    }
    same_buckets = _bounds(new.latency.values()) == _bounds(old.latency.values())
    if same_buckets and Signal.LATENCY in unchanged:
        new.latency = old.latency
    usual = [old.phases[phase] for phase in new.phases if phase in old.phases]
    if _bounds(new.phases.values()) == _bounds(usual):
        new.phases = old.phases
    if new.coarse_bounds == old.coarse_bounds:
        new.server |= old.server
    if new.stream and old.stream:
        new.stream.take_over(old.stream, unchanged)
    same_url = probe.url == old.probe.url
    return dataclasses.replace(
        new,
        failures=old.failures,
        server_ignored=old.server_ignored,
        merged_reads=old.merged_reads,
        last_run=old.last_run,
        last_success=old.last_success,
        succeeded=old.succeeded,
        status=old.status,
        certificate=old.certificate if same_url else CertificateExpiry(url_since=now),
    )


def _bounds(histograms: Iterable[Histogram]) -> list[tuple[float, ...]]:
    return [histogram.bounds for histogram in histograms]


class Recorder:
    """Counts the results of all probes. A `ResultSink` and a `MetricSource`.

    One lock guards all records: recording takes microseconds, and a scrape needs a consistent
    state.
    """

    def __init__(self, accounting: TickAccounting, now: Callable[[], float] = time.time) -> None:
        """`now` returns the wall clock (Unix seconds)."""
        self._accounting = accounting
        self._now = now
        self._lock = threading.Lock()
        self._records: dict[str, _Record] = {}
        self._lag = Histogram(DELAY_BUCKETS)
        # Observations of lag that are not in the histogram yet.
        self._new_lags = deque[float]()
        self._correction = Histogram(DELAY_BUCKETS)

    def add_probe(
        self,
        probe: Probe,
        suspended: Mapping[str, Callable[[], bool]],
        spending: SpendingMeter | None = None,
    ) -> None:
        """Start counting for `probe`, from 0.

        `suspended` has a function for each reason of inference_probe_suspended: it returns whether
        the probe is suspended for this reason. `spending` counts the cost of its requests.
        """
        with self._lock:
            self._records[probe.name] = _new_record(probe, suspended, spending)

    def update_probe(self, probe: Probe) -> None:
        """Continue a probe with other settings. Counts that keep their meaning are kept."""
        with self._lock:
            self._records[probe.name] = _updated_record(
                self._records[probe.name], probe, self._now()
            )

    def remove_probe(self, name: str) -> None:
        """Stop exporting the series of a probe."""
        with self._lock:
            del self._records[name]

    def observe_lag(self, seconds: float) -> None:
        """Record that a scheduled probe starts `seconds` after its due time. Never blocks.

        A scrape of many probes holds the lock for long, and the request is about to be sent.
        """
        self._new_lags.append(seconds)

    def _count_new_lags(self) -> None:
        """Move new observations to the histogram. The caller holds the lock."""
        while self._new_lags:
            self._lag.observe(self._new_lags.popleft())

    def record(self, result: Result) -> None:
        """Count the result of a scheduled probe. Ignored if the probe was removed meanwhile."""
        with self._lock:
            # Here as well, so that they do not pile up without scrapes.
            self._count_new_lags()
            record = self._records.get(result.probe)
            if record is None:
                return
            record.last_run = self._now()
            record.succeeded = result.failure is None
            record.status = result.status
            record.merged_reads += result.merged_reads
            record.server_ignored += result.server_ignored
            record.certificate.record(result)
            if result.failure:
                record.failures[result.failure.reason] += 1
            else:
                record.last_success = record.last_run
                for phase, seconds in result.phases.items():
                    if phase not in record.phases:
                        record.phases[phase] = _phase_histogram(record.probe, phase)
                    record.phases[phase].observe(seconds)
                for component, seconds in result.server.items():
                    if component not in record.server:
                        record.server[component] = Histogram(record.coarse_bounds)
                    record.server[component].observe(seconds)
            if record.stream:
                record.stream.record(result)
            if result.failure is None or result.failure.reason.counts_against_slo:
                record.latency[result.outcome].observe(result.latency)
                self._correction.observe(result.correction)

    def write_to(self, exposition: Exposition) -> None:
        """Add all metrics of probes to `exposition`."""
        with self._lock:
            self._count_new_lags()
            self._write_ticks(exposition)
            self._write_records(exposition)
            for spec, histogram in (
                (catalogue.LAG, self._lag),
                (catalogue.CORRECTION, self._correction),
            ):
                exposition.add_family(spec, [histogram.samples(spec, "")])

    def _write_ticks(self, exposition: Exposition) -> None:
        counts = self._accounting.counts()

        def add(spec: MetricSpec, value: Callable[[TickCounts], int]) -> None:
            exposition.add_family(
                spec,
                (
                    format_sample(spec, record.labels, value(counts[name]))
                    for name, record in self._records.items()
                ),
            )

        add(catalogue.TICKS, lambda ticks: ticks.ticks)
        add(catalogue.RUNS, lambda ticks: ticks.runs)
        add(catalogue.IN_FLIGHT, lambda ticks: ticks.in_flight)
        exposition.add_family(
            catalogue.SKIPPED,
            (
                format_sample(
                    catalogue.SKIPPED,
                    f'{record.labels},reason="{reason}"',
                    counts[name].skipped[reason],
                )
                for name, record in self._records.items()
                for reason in SkipReason
                if reason is not SkipReason.BUDGET
                or record.probe.budget
                or counts[name].skipped[reason]
            ),
        )

    def _write_records(self, exposition: Exposition) -> None:
        def add(spec: MetricSpec, lines: Callable[[_Record], Iterable[str]]) -> None:
            exposition.add_family(
                spec, (line for record in self._records.values() for line in lines(record))
            )

        def add_value(spec: MetricSpec, value: Callable[[_Record], float | None]) -> None:
            add(spec, lambda record: _value_line(spec, record, value(record)))

        def add_histograms(
            spec: MetricSpec,
            label: str,
            items: Callable[[_Record], Iterable[tuple[str, Histogram]]],
        ) -> None:
            add(spec, lambda record: _histogram_lines(spec, record, label, items(record)))

        add_histograms(catalogue.LATENCY, "outcome", lambda record: record.latency.items())
        add_histograms(catalogue.PHASE, "phase", lambda record: record.phases.items())
        add_histograms(catalogue.SERVER, "component", lambda record: record.server.items())
        for spec in STREAM_METRICS:
            add(spec, partial(_stream_lines, spec))
        for spec in SPENDING_METRICS:
            add(spec, partial(_spending_lines, spec))
        add_value(catalogue.SERVER_IGNORED, lambda record: record.server_ignored)
        add_value(catalogue.MERGED, lambda record: record.merged_reads)
        add(catalogue.FAILURES, _failure_lines)
        add(catalogue.SUSPENDED, _suspended_lines)
        add_value(catalogue.INTERVAL, lambda record: record.probe.interval)
        add_value(catalogue.TIMEOUT, lambda record: record.probe.timeout)
        add_value(catalogue.LAST_RUN, lambda record: record.last_run)
        add_value(catalogue.LAST_SUCCESS, lambda record: record.last_success)
        add_value(catalogue.LAST_SUCCEEDED, lambda record: record.succeeded)
        add_value(catalogue.LAST_STATUS_CODE, lambda record: record.status)
        add_value(catalogue.CERTIFICATE, lambda record: record.certificate.not_after)
        add(catalogue.OBJECTIVE, _objective_lines)
        add(catalogue.INFO, _info_lines)
        add(catalogue.ALERT_INFO, _alert_info_lines)
        add(catalogue.SLO_ALERT_INFO, _slo_alert_info_lines)


def _value_line(spec: MetricSpec, record: _Record, value: float | None) -> list[str]:
    return [] if value is None else [format_sample(spec, record.labels, value)]


def _histogram_lines(
    spec: MetricSpec, record: _Record, label: str, items: Iterable[tuple[str, Histogram]]
) -> Iterator[str]:
    for value, histogram in items:
        yield histogram.samples(spec, f'{record.labels},{label}="{value}"')


def _stream_lines(spec: MetricSpec, record: _Record) -> Iterable[str]:
    return record.stream.lines(spec, record.labels) if record.stream else ()


def _spending_lines(spec: MetricSpec, record: _Record) -> Iterable[str]:
    if record.spending is None:
        return ()
    return spending_lines(spec, record.probe, record.labels, record.spending)


def _failure_lines(record: _Record) -> Iterator[str]:
    for reason in Reason:
        if reason.is_stream_only and not record.probe.stream and not record.failures[reason]:
            continue
        labels = f'{record.labels},reason="{reason}"'
        yield format_sample(catalogue.FAILURES, labels, record.failures[reason])


def _suspended_lines(record: _Record) -> Iterator[str]:
    for reason, is_suspended in record.suspended.items():
        if reason == SkipReason.BUDGET and not record.probe.budget:
            continue
        labels = f'{record.labels},reason="{reason}"'
        yield format_sample(catalogue.SUSPENDED, labels, is_suspended())


def _objective_lines(record: _Record) -> Iterator[str]:
    for objective in record.probe.objectives:
        labels = format_labels(
            {
                "slo": objective.name,
                "signal": objective.signal,
                "threshold": format_value(_threshold(objective)),
                "alert": objective.alert,
            }
        )
        yield format_sample(catalogue.OBJECTIVE, f"{record.labels},{labels}", objective.target)


def _threshold(objective: Objective) -> float:
    """Return the largest good value (seconds). Without one, every success is good: +Inf."""
    return float("inf") if objective.threshold is None else objective.threshold


def _info_lines(record: _Record) -> Iterator[str]:
    labels = format_labels({"url": shown_url(record.probe), **record.probe.labels})
    yield format_sample(catalogue.INFO, f"{record.labels},{labels}", 1)


def _alert_info_lines(record: _Record) -> Iterator[str]:
    labels = format_labels({"down": record.probe.down, **_alert_labels(record.probe)})
    yield format_sample(catalogue.ALERT_INFO, f"{record.labels},{labels}", 1)


def _slo_alert_info_lines(record: _Record) -> Iterator[str]:
    """Yield the series of each objective.

    In PromQL a join can add labels of unknown names only if each objective has its own series.
    """
    if alert_labels := _alert_labels(record.probe):
        for objective in record.probe.objectives:
            labels = format_labels({"slo": objective.name, **alert_labels})
            yield format_sample(catalogue.SLO_ALERT_INFO, f"{record.labels},{labels}", 1)


def _alert_labels(probe: Probe) -> dict[str, str]:
    return {name: probe.labels[name] for name in probe.alert_labels}


def shown_url(probe: Probe) -> str:
    """Return the URL as in the config, without user, password and query.

    References such as `${file:token}` are not resolved.
    """
    return redact_config_url(probe.url.source)
