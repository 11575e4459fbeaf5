"""Histograms of one side of a comparison, counted from the scrapes of all replicas.

The numbers are sums of the increases between scrapes, as in an SLA report.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import NamedTuple

from probe.compare.histograms import Counts, RecordedHistogram, RecordedSide
from probe.compare.selection import Selection
from probe.metrics import catalogue
from probe.metrics.target_labels import Replica, split_labels
from probe.prometheus.client import OnProgress, PrometheusClient, chunks
from probe.prometheus.increases import LOOKBACK_SECONDS, PROCESS_START, TargetCounters
from probe.prometheus.probe_group import ProbeGroup
from probe.prometheus.promql import matchers, quote
from probe.prometheus.series import Series
from probe.result import Outcome, Signal

# Part of the period that one query reads: all buckets of all replicas are then in memory.
QUERY_SECONDS = 6 * 3600.0


class Bucket(NamedTuple):
    """Identifies a bucket of a histogram, or a counter."""

    metric: str
    outcome: str = ""
    le: float = math.inf


class _ObjectiveKey(NamedTuple):
    slo: str
    signal: str
    threshold: str


_TICKS = Bucket(catalogue.TICKS.name)


@dataclass(slots=True)
class _Scrape:
    """Values in one scrape of a replica. Without `counters`, it does not have the probe."""

    replica: Replica
    time: float
    counters: dict[Bucket, float] = field(default_factory=dict)
    objectives: set[_ObjectiveKey] = field(default_factory=set)
    process_start: float | None = None

    def bounds(self, metric: str) -> set[float]:
        """Return the bounds of the buckets of successes."""
        return {
            bucket.le
            for bucket in self.counters
            if bucket.metric == metric and bucket.outcome == Outcome.SUCCESS
        }


def count_requests(
    client: PrometheusClient,
    group: ProbeGroup,
    selection: Selection,
    part_count: int,
    on_progress: OnProgress,
) -> RecordedSide:
    """Return the requests of `selection` to `group` in equal parts of its period.

    Raises PrometheusError.
    """
    horizon = max(0.0, selection.start - LOOKBACK_SECONDS)
    counter = _RequestCounter(selection, part_count, horizon)
    for first, last in chunks(horizon, selection.end, QUERY_SECONDS):
        for scrape in _read_scrapes(
            client, group, selection, counter.replicas, start=first, end=last
        ):
            counter.add(scrape)
        on_progress(last)
    return counter.side()


def _read_scrapes(
    client: PrometheusClient,
    group: ProbeGroup,
    selection: Selection,
    replicas: Iterable[Replica],
    *,
    start: float,
    end: float,
) -> list[_Scrape]:
    """Return the scrapes after `start` until `end` by ascending time.

    `replicas` are those of earlier scrapes. A scrape without the probe shows that it was removed.
    """
    scrapes: dict[tuple[Replica, float], _Scrape] = {}
    for text in _selectors(group, selection):
        for series in client.samples_of_chunk(text, start, end):
            _add(scrapes, series)
    known = {*replicas, *(replica for replica, _ in scrapes)}
    if known:
        for series in client.samples_of_chunk(_process_starts(group, known), start, end):
            _add_starts(scrapes, series, known)
    return sorted(scrapes.values(), key=lambda scrape: scrape.time)


def _selectors(group: ProbeGroup, selection: Selection) -> Iterator[str]:
    yield group.selector(f"{catalogue.TICKS.name}|{catalogue.OBJECTIVE.name}")
    labels = matchers(selection.dimension_labels)
    for metric in selection.histograms.values():
        name = f"{metric}_bucket"
        yield group.selector(name, *labels, *matchers({"outcome": Outcome.SUCCESS}))
        failures = matchers({"outcome": Outcome.FAILURE, "le": "+Inf"})
        yield group.selector(name, *labels, *failures)


def _process_starts(group: ProbeGroup, replicas: Iterable[Replica]) -> str:
    instances = sorted({dict(replica).get("instance", "") for replica in replicas})
    pattern = "|".join(map(re.escape, instances))
    return group.target_selector(PROCESS_START, f"instance=~{quote(pattern)}")


def _add(scrapes: dict[tuple[Replica, float], _Scrape], series: Series) -> None:
    """Add the values of a series of the probe to its `scrapes`."""
    labels, replica = split_labels(series.labels)
    name = series.labels["__name__"]
    objective = bucket = None
    if name == catalogue.OBJECTIVE.name:
        objective = _ObjectiveKey(labels["slo"], labels["signal"], labels["threshold"])
    else:
        bucket = Bucket(
            name.removesuffix("_bucket"),
            labels.get("outcome", ""),
            float(labels.get("le", math.inf)),
        )
    for time, value in series.samples:
        scrape = scrapes.get((replica, time))
        if scrape is None:
            scrape = scrapes[replica, time] = _Scrape(replica, time)
        if objective:
            scrape.objectives.add(objective)
        elif bucket:
            scrape.counters[bucket] = value


def _add_starts(
    scrapes: dict[tuple[Replica, float], _Scrape], series: Series, replicas: set[Replica]
) -> None:
    replica = split_labels(series.labels).target
    if replica not in replicas:
        return
    for time, value in series.samples:
        scrape = scrapes.setdefault((replica, time), _Scrape(replica, time))
        scrape.process_start = value


class _RequestCounter:
    """Adds up the scrapes of all replicas in the period of a selection."""

    def __init__(self, selection: Selection, part_count: int, horizon: float) -> None:
        """Begin after `horizon` (Unix seconds), as TargetCounters does."""
        self._selection = selection
        self._horizon = horizon
        self._replicas: dict[Replica, _ReplicaCounters] = {}
        self._parts = {
            signal: [_PartCounter(metric) for _ in range(part_count)]
            for signal, metric in selection.histograms.items()
        }
        self._part_seconds = selection.seconds / part_count
        # Those of the last scrape with the probe.
        self._objectives: Set[_ObjectiveKey] = frozenset()

    @property
    def replicas(self) -> Iterable[Replica]:
        return self._replicas.keys()

    def add(self, scrape: _Scrape) -> None:
        """Add a scrape. Those of all replicas come by ascending time."""
        if scrape.replica not in self._replicas:
            self._replicas[scrape.replica] = _ReplicaCounters(self._horizon)
        if scrape.counters:
            self._objectives = scrape.objectives
        counts = self._replicas[scrape.replica].advance(scrape)
        elapsed = scrape.time - self._selection.start
        if not counts or elapsed <= 0:
            return
        for counters in self._parts.values():
            number = math.ceil(elapsed / self._part_seconds) - 1
            counters[min(number, len(counters) - 1)].add(scrape, counts)

    def side(self) -> RecordedSide:
        return RecordedSide(
            name=self._selection.name,
            histograms={
                signal: RecordedHistogram([part.counts() for part in counters])
                for signal, counters in self._parts.items()
            },
            thresholds=_thresholds(self._objectives),
        )


def _thresholds(objectives: Iterable[_ObjectiveKey]) -> dict[Signal, set[float]]:
    """Return the finite thresholds (seconds) of `objectives` by signal."""
    thresholds: dict[Signal, set[float]] = defaultdict(set)
    for objective in objectives:
        seconds = float(objective.threshold)
        if math.isfinite(seconds):
            thresholds[Signal(objective.signal)].add(seconds)
    return dict(thresholds)


class _ReplicaCounters:
    """The counters of one replica."""

    def __init__(self, horizon: float) -> None:
        self._counters = TargetCounters(horizon, monotonic=_TICKS)
        self._objectives: set[_ObjectiveKey] = set()

    def advance(self, scrape: _Scrape) -> Mapping[Bucket, float]:
        """Return the increases since the previous scrape.

        For a new objective or threshold of a signal, the daemon resets its histogram.
        """
        new = scrape.objectives - self._objectives
        self._objectives = scrape.objectives
        reset_metrics = {catalogue.SIGNALS[Signal(objective.signal)].name for objective in new}
        increases = self._counters.advance(scrape, reset_metrics)
        return increases.counts if increases else {}


class _PartCounter:
    """Counts the requests in one part of the period."""

    def __init__(self, metric: str) -> None:
        self._metric = metric
        self._successes: Counter[float] = Counter()
        self._failures = 0
        self._bounds: set[float] | None = None

    def add(self, scrape: _Scrape, counts: Mapping[Bucket, float]) -> None:
        """Add the increases `counts` until `scrape`."""
        has_successes = False
        for bucket, count in counts.items():
            if bucket.metric != self._metric:
                continue
            if bucket.outcome == Outcome.SUCCESS:
                self._successes[bucket.le] += round(count)
                has_successes = True
            elif bucket.outcome == Outcome.FAILURE:
                self._failures += round(count)
        if has_successes:
            bounds = scrape.bounds(self._metric)
            self._bounds = bounds if self._bounds is None else self._bounds & bounds

    def counts(self) -> Counts:
        """Return the counts of the buckets that the histograms had all the time."""
        bounds = sorted(self._bounds or ())
        return Counts(
            buckets={bound: self._successes[bound] for bound in bounds}, failures=self._failures
        )
