"""Turns results into metrics: the one owner of every count that is not the ledger's."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from probe.record import metrics
from probe.record.histogram import (
    COARSE_BUCKETS,
    LATENCY_BUCKETS,
    Histogram,
    bucket_label,
)
from probe.record.metrics import Declaration, Family
from probe.schedule.ledger import Ledger
from probe.settings.schema import Objective, Probe
from probe.vocabulary import Outcome, Phase, Reason, Result, Skip

INFINITY = float("inf")


@dataclass(slots=True)
class _Record:
    """What is kept of one probe."""

    probe: Probe
    latency: Mapping[Outcome, Histogram]
    phases: Mapping[Phase, Histogram]
    suspended: Mapping[str, Callable[[], bool]]
    failures: Counter[Reason] = field(default_factory=Counter)
    merged_reads: int = 0
    last_run: float | None = None
    last_success: float | None = None
    certificate: float | None = None


def _record(probe: Probe, suspended: Mapping[str, Callable[[], bool]]) -> _Record:
    thresholds = [one.latency for one in probe.objectives if one.latency is not None]
    coarse = probe.phase_buckets or COARSE_BUCKETS
    return _Record(
        probe=probe,
        latency={
            Outcome.SUCCESS: Histogram((*(probe.buckets or LATENCY_BUCKETS), *thresholds)),
            Outcome.FAILURE: Histogram(coarse),
        },
        phases={phase: Histogram(coarse) for phase in Phase},
        suspended=suspended,
    )


class Recorder(Collector):
    """Counts results, and shows the counts to prometheus_client whenever it is scraped.

    One lock guards it all: taking a result in is a matter of microseconds, and what a scrape
    reads belongs together.
    """

    def __init__(self, ledger: Ledger, now: Callable[[], float] = time.time) -> None:
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

    def started(self, lag: float) -> None:
        """A scheduled probe starts, so many seconds after its due time."""
        with self._lock:
            self._lag.observe(lag)

    def finished(self, result: Result) -> None:
        """A scheduled probe has come back."""
        with self._lock:
            record = self._records[result.probe]
            record.last_run = self._now()
            record.merged_reads += result.merged_reads
            if result.certificate_not_after is not None:
                record.certificate = result.certificate_not_after
            if result.failure:
                record.failures[result.failure.reason] += 1
            else:
                record.last_success = record.last_run
                for phase, seconds in result.phases.items():
                    record.phases[phase].observe(seconds)
            if result.failure is None or result.failure.reason.charged:
                record.latency[result.outcome].observe(result.latency)
                self._correction.observe(result.correction)

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            families = [*self._of_ledger(), *self._of_records(), *self._of_daemon()]
        return iter(families)

    def _of_ledger(self) -> list[Family]:
        ticks, runs = metrics.TICKS.family(), metrics.RUNS.family()
        skipped, in_flight = metrics.SKIPPED.family(), metrics.IN_FLIGHT.family()
        for name, account in self._ledger.accounts().items():
            ticks.add((name,), account.ticks)
            runs.add((name,), account.runs)
            in_flight.add((name,), account.in_flight)
            for reason in Skip:
                skipped.add((name, reason), account.skipped[reason])
        return [ticks, runs, skipped, in_flight]

    def _of_records(self) -> list[Family]:
        return [
            self._family(metrics.LATENCY, _add_latency),
            self._family(metrics.PHASE, _add_phases),
            self._family(metrics.FAILURES, _add_failures),
            self._family(metrics.SUSPENDED, _add_suspended),
            self._family(metrics.INTERVAL, lambda to, of: to.add(_name(of), of.probe.interval)),
            self._family(metrics.TIMEOUT, lambda to, of: to.add(_name(of), of.probe.timeout)),
            self._family(metrics.LAST_RUN, lambda to, of: _add_known(to, of, of.last_run)),
            self._family(metrics.LAST_SUCCESS, lambda to, of: _add_known(to, of, of.last_success)),
            self._family(metrics.CERTIFICATE, lambda to, of: _add_known(to, of, of.certificate)),
            self._family(metrics.MERGED, lambda to, of: to.add(_name(of), of.merged_reads)),
            self._family(metrics.OBJECTIVE, _add_objectives),
            self._family(metrics.INFO, _add_info),
        ]

    def _family(self, declared: Declaration, add: Callable[[Family, _Record], None]) -> Family:
        family = declared.family()
        for record in self._records.values():
            add(family, record)
        return family

    def _of_daemon(self) -> list[Family]:
        lag, correction = metrics.LAG.family(), metrics.CORRECTION.family()
        self._lag.add_to(lag, {})
        self._correction.add_to(correction, {})
        return [lag, correction]


def _name(record: _Record) -> tuple[str]:
    return (record.probe.name,)


def _add_latency(family: Family, record: _Record) -> None:
    for outcome, histogram in record.latency.items():
        histogram.add_to(family, {"probe": record.probe.name, "outcome": outcome})


def _add_phases(family: Family, record: _Record) -> None:
    for phase, histogram in record.phases.items():
        histogram.add_to(family, {"probe": record.probe.name, "phase": phase})


def _add_failures(family: Family, record: _Record) -> None:
    for reason in Reason:
        family.add((record.probe.name, reason), record.failures[reason])


def _add_suspended(family: Family, record: _Record) -> None:
    for reason, suspended in record.suspended.items():
        family.add((record.probe.name, reason), float(suspended()))


def _add_known(family: Family, record: _Record, value: float | None) -> None:
    if value is not None:
        family.add(_name(record), value)


def _add_objectives(family: Family, record: _Record) -> None:
    for objective in record.probe.objectives:
        family.add(
            (
                record.probe.name,
                objective.name,
                "latency",
                bucket_label(_threshold(objective)),
                objective.alert,
            ),
            objective.target,
        )


def _threshold(objective: Objective) -> float:
    return INFINITY if objective.latency is None else objective.latency


def _add_info(family: Family, record: _Record) -> None:
    family.add((record.probe.name, shown_url(record.probe)), 1, record.probe.labels)


def shown_url(probe: Probe) -> str:
    """The URL as the config has it, less user, password and query; references stay references."""
    parts = urlsplit(probe.url.source)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
