"""Histograms of one side of a comparison, counted from the scrapes of all replicas.

The numbers are sums of the increases between scrapes, as in an SLA report.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from probe.compare.histograms import Counts, RecordedHistogram, RecordedSide
from probe.compare.selection import Selection
from probe.metrics import catalogue
from probe.metrics.target_labels import Replica
from probe.prometheus.client import OnProgress, PrometheusClient
from probe.prometheus.increases import LOOKBACK_SECONDS, ReplicaCounters
from probe.prometheus.probe_group import ProbeGroup
from probe.prometheus.promql import matchers
from probe.prometheus.scrapes import CounterKey, ObjectiveKey, Scrape, ScrapeReader
from probe.result import Outcome, Signal

# Part of the period that one query reads: all buckets of all replicas are then in memory.
QUERY_SECONDS = 6 * 3600.0


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
    selectors = tuple(_selectors(group, selection))
    reader = ScrapeReader(client, group, selectors, part_seconds=QUERY_SECONDS)
    for part in reader.scrapes(horizon, selection.end, on_progress):
        for scrape in part:
            counter.add(scrape)
    return counter.side()


def _selectors(group: ProbeGroup, selection: Selection) -> Iterator[str]:
    yield group.selector(f"{catalogue.TICKS.name}|{catalogue.OBJECTIVE.name}")
    labels = matchers(selection.dimension_labels)
    for metric in selection.histograms.values():
        name = f"{metric}_bucket"
        yield group.selector(name, *labels, *matchers({"outcome": Outcome.SUCCESS}))
        failures = matchers({"outcome": Outcome.FAILURE, "le": "+Inf"})
        yield group.selector(name, *labels, *failures)


class _RequestCounter:
    """Adds up the scrapes of all replicas in the period of a selection."""

    def __init__(self, selection: Selection, part_count: int, horizon: float) -> None:
        """Begin after `horizon` (Unix seconds), as ReplicaCounters does."""
        self._selection = selection
        self._horizon = horizon
        self._replicas: dict[Replica, ReplicaCounters] = {}
        self._parts = {
            signal: [_PartCounter(metric) for _ in range(part_count)]
            for signal, metric in selection.histograms.items()
        }
        self._part_seconds = selection.seconds / part_count
        # Those of the last scrape with the probe.
        self._objectives: Iterable[ObjectiveKey] = ()

    def add(self, scrape: Scrape) -> None:
        """Add a scrape. Those of all replicas come by ascending time."""
        if scrape.replica not in self._replicas:
            self._replicas[scrape.replica] = ReplicaCounters(self._horizon)
        increase = self._replicas[scrape.replica].advance(scrape)
        if increase is None:
            return
        self._objectives = increase.targets
        elapsed = scrape.time - self._selection.start
        if elapsed <= 0:
            return
        for counters in self._parts.values():
            number = math.ceil(elapsed / self._part_seconds) - 1
            counters[min(number, len(counters) - 1)].add(scrape, increase.counts)

    def side(self) -> RecordedSide:
        return RecordedSide(
            name=self._selection.name,
            histograms={
                signal: RecordedHistogram([part.counts() for part in counters])
                for signal, counters in self._parts.items()
            },
            thresholds=_finite_thresholds(self._objectives),
        )


def _finite_thresholds(objectives: Iterable[ObjectiveKey]) -> dict[Signal, set[float]]:
    """Return the thresholds (seconds) of `objectives` by signal. Some have none."""
    thresholds: dict[Signal, set[float]] = defaultdict(set)
    for objective in objectives:
        if math.isfinite(objective.threshold):
            thresholds[objective.signal].add(objective.threshold)
    return dict(thresholds)


class _PartCounter:
    """Counts the requests in one part of the period."""

    def __init__(self, metric: str) -> None:
        self._metric = metric
        self._successes: Counter[float] = Counter()
        self._failures = 0
        self._bounds: set[float] | None = None

    def add(self, scrape: Scrape, counts: Mapping[CounterKey, float]) -> None:
        """Add the increases `counts` until `scrape`."""
        has_successes = False
        for counter, count in counts.items():
            if counter.metric != self._metric:
                continue
            if counter.kind == Outcome.SUCCESS:
                self._successes[counter.le] += round(count)
                has_successes = True
            elif counter.kind == Outcome.FAILURE:
                self._failures += round(count)
        if has_successes:
            bounds = self._success_bounds(scrape)
            self._bounds = bounds if self._bounds is None else self._bounds & bounds

    def _success_bounds(self, scrape: Scrape) -> set[float]:
        """Return the bounds of the buckets of successes."""
        return {
            counter.le
            for counter in scrape.counters
            if counter.metric == self._metric and counter.kind == Outcome.SUCCESS
        }

    def counts(self) -> Counts:
        """Return the counts of the buckets that the histograms had all the time."""
        bounds = sorted(self._bounds or ())
        return Counts(
            buckets={bound: self._successes[bound] for bound in bounds}, failures=self._failures
        )
