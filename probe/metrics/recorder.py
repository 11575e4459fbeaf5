"""Turns results into metrics: the one owner of every count that is not the ledger's."""

import dataclasses
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from probe.config.schema import Objective, Probe
from probe.metrics import catalogue
from probe.metrics.catalogue import MetricSpec
from probe.metrics.exposition import Exposition, format_labels, format_sample, format_value
from probe.metrics.histogram import COARSE_BUCKETS, LATENCY_BUCKETS, Histogram
from probe.redaction import redact_config_url
from probe.result import Component, Outcome, Phase, Reason, Result, SkipReason
from probe.scheduler.accounting import TickAccounting, TickCounts

INFINITY = float("inf")
SUSPENDED = ("startup", "paused")
"""Why failures may not be charged to the model at present."""


@dataclass(slots=True)
class _Record:
    """What is kept of one probe."""

    probe: Probe
    labels: str
    """The text of the label `probe`, which every series of it begins with."""
    latency: Mapping[Outcome, Histogram]
    phases: Mapping[Phase, Histogram]
    server: dict[Component, Histogram]
    coarse: Sequence[float]
    """The buckets of all but the latency of successes."""
    suspended: Mapping[str, Callable[[], bool]]
    failures: Counter[Reason] = field(default_factory=Counter)
    server_ignored: int = 0
    merged_reads: int = 0
    last_run: float | None = None
    last_success: float | None = None
    certificate: float | None = None


def _record(probe: Probe, suspended: Mapping[str, Callable[[], bool]]) -> _Record:
    thresholds = [one.latency for one in probe.objectives if one.latency is not None]
    coarse = probe.phase_buckets or COARSE_BUCKETS
    return _Record(
        probe=probe,
        labels=format_labels({"probe": probe.name}),
        latency={
            Outcome.SUCCESS: Histogram((*(probe.buckets or LATENCY_BUCKETS), *thresholds)),
            Outcome.FAILURE: Histogram(coarse),
        },
        phases={phase: Histogram(coarse) for phase in Phase},
        # Only what the config maps is known beforehand. The others come with the first
        # Server-Timing: six components at 0 would be 90 series of each probe, mostly for nothing.
        server={one.component: Histogram(coarse) for one in probe.server_timing},
        coarse=coarse,
        suspended=suspended,
    )


def _continued(old: _Record, probe: Probe) -> _Record:
    """The record of a probe whose settings have changed.

    Other buckets make another histogram: it begins anew, all of its series at once. Another URL
    may be of a server with another certificate, or with none.
    """
    new = _record(probe, old.suspended)
    if _bounds(new.latency) == _bounds(old.latency):
        new.latency = old.latency
    if new.coarse == old.coarse:
        new.phases, new.server = old.phases, new.server | old.server
    return dataclasses.replace(
        new,
        failures=old.failures,
        server_ignored=old.server_ignored,
        merged_reads=old.merged_reads,
        last_run=old.last_run,
        last_success=old.last_success,
        certificate=old.certificate if probe.url == old.probe.url else None,
    )


def _bounds(histograms: Mapping[Outcome, Histogram]) -> list[tuple[float, ...]]:
    return [histogram.bounds for histogram in histograms.values()]


class Recorder:
    """Counts results, and shows the counts whenever it is scraped.

    One lock guards it all: taking a result in is a matter of microseconds, and what a scrape
    reads belongs together.
    """

    def __init__(self, ledger: TickAccounting, now: Callable[[], float] = time.time) -> None:
        """`now` is the wall clock, in Unix seconds."""
        self._ledger = ledger
        self._now = now
        self._lock = threading.Lock()
        self._records: dict[str, _Record] = {}
        self._lag = Histogram(COARSE_BUCKETS)
        self._correction = Histogram(COARSE_BUCKETS)

    def watch(self, probe: Probe, suspended: Mapping[str, Callable[[], bool]]) -> None:
        """Keep a record of a probe, all of it at 0.

        `suspended` tells by reason whether failures are at present not charged to the model.
        """
        with self._lock:
            self._records[probe.name] = _record(probe, suspended)

    def change(self, probe: Probe) -> None:
        """Go on with a probe under other settings. Whatever still means the same is kept."""
        with self._lock:
            self._records[probe.name] = _continued(self._records[probe.name], probe)

    def forget(self, name: str) -> None:
        """The series of a probe end."""
        with self._lock:
            del self._records[name]

    def started(self, lag: float) -> None:
        """A scheduled probe has started, so many seconds after its due time."""
        with self._lock:
            self._lag.observe(lag)

    def finished(self, result: Result) -> None:
        """A scheduled probe has come back; if it was removed meanwhile, that is all."""
        with self._lock:
            record = self._records.get(result.probe)
            if record is None:
                return
            record.last_run = self._now()
            record.merged_reads += result.merged_reads
            record.server_ignored += result.server_ignored
            if result.certificate_not_after is not None:
                record.certificate = result.certificate_not_after
            if result.failure:
                record.failures[result.failure.reason] += 1
            else:
                record.last_success = record.last_run
                for phase, seconds in result.phases.items():
                    record.phases[phase].observe(seconds)
                for component, seconds in result.server.items():
                    if component not in record.server:
                        record.server[component] = Histogram(record.coarse)
                    record.server[component].observe(seconds)
            if result.failure is None or result.failure.reason.charged:
                record.latency[result.outcome].observe(result.latency)
                self._correction.observe(result.correction)

    def expose(self, to: Exposition) -> None:
        with self._lock:
            self._expose_ledger(to)
            self._expose_records(to)
            to.family(catalogue.LAG, [self._lag.samples(catalogue.LAG, "")])
            to.family(catalogue.CORRECTION, [self._correction.samples(catalogue.CORRECTION, "")])

    def _expose_ledger(self, to: Exposition) -> None:
        accounts = self._ledger.accounts()

        def show(declared: MetricSpec, count: Callable[[TickCounts], int]) -> None:
            rows = ((record.labels, accounts[name]) for name, record in self._records.items())
            to.family(
                declared,
                (format_sample(declared, labels, count(account)) for labels, account in rows),
            )

        show(catalogue.TICKS, lambda account: account.ticks)
        show(catalogue.RUNS, lambda account: account.runs)
        show(catalogue.IN_FLIGHT, lambda account: account.in_flight)
        to.family(
            catalogue.SKIPPED,
            (
                format_sample(
                    catalogue.SKIPPED,
                    f'{record.labels},reason="{skip}"',
                    accounts[name].skipped[skip],
                )
                for name, record in self._records.items()
                for skip in SkipReason
            ),
        )

    def _expose_records(self, to: Exposition) -> None:
        def show(declared: MetricSpec, lines: Callable[[_Record], Iterator[str]]) -> None:
            to.family(declared, (line for one in self._records.values() for line in lines(one)))

        def value(declared: MetricSpec, of: Callable[[_Record], float | None]) -> None:
            show(declared, lambda record: _value(declared, record, of(record)))

        show(
            catalogue.LATENCY,
            lambda one: _by(catalogue.LATENCY, one, "outcome", one.latency.items()),
        )
        show(catalogue.PHASE, lambda one: _by(catalogue.PHASE, one, "phase", one.phases.items()))
        show(
            catalogue.SERVER,
            lambda one: _by(catalogue.SERVER, one, "component", one.server.items()),
        )
        value(catalogue.SERVER_IGNORED, lambda one: one.server_ignored)
        value(catalogue.MERGED, lambda one: one.merged_reads)
        show(catalogue.FAILURES, _failures)
        show(catalogue.SUSPENDED, _suspended)
        value(catalogue.INTERVAL, lambda one: one.probe.interval)
        value(catalogue.TIMEOUT, lambda one: one.probe.timeout)
        value(catalogue.LAST_RUN, lambda one: one.last_run)
        value(catalogue.LAST_SUCCESS, lambda one: one.last_success)
        value(catalogue.CERTIFICATE, lambda one: one.certificate)
        show(catalogue.OBJECTIVE, _objectives)
        show(catalogue.INFO, _info)


def _value(declared: MetricSpec, record: _Record, value: float | None) -> Iterator[str]:
    if value is not None:
        yield format_sample(declared, record.labels, value)


def _by(
    declared: MetricSpec, record: _Record, label: str, histograms: Iterable[tuple[str, Histogram]]
) -> Iterator[str]:
    for value, histogram in histograms:
        yield histogram.samples(declared, f'{record.labels},{label}="{value}"')


def _failures(record: _Record) -> Iterator[str]:
    for reason in Reason:
        labels = f'{record.labels},reason="{reason}"'
        yield format_sample(catalogue.FAILURES, labels, record.failures[reason])


def _suspended(record: _Record) -> Iterator[str]:
    for reason, suspended in record.suspended.items():
        yield format_sample(catalogue.SUSPENDED, f'{record.labels},reason="{reason}"', suspended())


def _objectives(record: _Record) -> Iterator[str]:
    for objective in record.probe.objectives:
        labels = {
            "slo": objective.name,
            "signal": "latency",
            "threshold": format_value(_threshold(objective)),
            "alert": objective.alert,
        }
        of = f"{record.labels},{format_labels(labels)}"
        yield format_sample(catalogue.OBJECTIVE, of, objective.target)


def _threshold(objective: Objective) -> float:
    return INFINITY if objective.latency is None else objective.latency


def _info(record: _Record) -> Iterator[str]:
    labels = format_labels({"url": shown_url(record.probe), **record.probe.labels})
    yield format_sample(catalogue.INFO, f"{record.labels},{labels}", 1)


def shown_url(probe: Probe) -> str:
    """The URL as the config has it, less user, password and query; references stay references."""
    return redact_config_url(probe.url.source)
