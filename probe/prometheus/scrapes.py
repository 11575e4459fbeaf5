"""The scrapes of one probe: the values of its counters in each scrape of a replica."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from probe.metrics import catalogue
from probe.metrics.target_labels import Replica, split_labels
from probe.prometheus.client import CHUNK_SECONDS, OnProgress, PrometheusClient, chunks
from probe.prometheus.probe_group import ProbeGroup
from probe.prometheus.promql import quote
from probe.prometheus.series import Series
from probe.result import Outcome, Signal

SIGNAL_METRICS = {signal: spec.name for signal, spec in catalogue.SIGNALS.items()}
DIMENSION_METRIC = catalogue.DIMENSION_DURATION.name

# The number of cold starts, successful or failed.
COLD_STARTS = f"{catalogue.COLD_START.name}_count"

PROCESS_START = "process_start_time_seconds"


class CounterKey(NamedTuple):
    """Identifies a counter, or a bucket of a histogram, of one probe."""

    metric: str
    """Name of the metric, of a histogram without `_bucket`."""
    kind: str = ""
    """Reason or outcome."""
    le: float = math.inf
    """Upper bound of the bucket."""
    dimension: str = ""
    value: str = ""


class ObjectiveKey(NamedTuple):
    """Identifies an objective with one threshold."""

    slo: str
    signal: Signal
    threshold: float


@dataclass(slots=True)
class Scrape:
    """Values in one scrape of a replica. Without `counters`, it does not have the probe."""

    replica: Replica
    time: float
    counters: dict[CounterKey, float] = field(default_factory=dict)
    targets: dict[ObjectiveKey, float] = field(default_factory=dict)
    """Targets of the objectives."""
    interval: float | None = None
    process_start: float | None = None


@dataclass(frozen=True, slots=True)
class ScrapeReader:
    """Reads the scrapes of one probe: the series of `selectors`, and the start of the process."""

    client: PrometheusClient
    group: ProbeGroup
    selectors: Sequence[str]
    part_seconds: float = CHUNK_SECONDS
    """Time that one query reads. All values in it are in memory at once."""

    def scrapes(self, start: float, end: float, on_progress: OnProgress) -> Iterator[list[Scrape]]:
        """Yield the scrapes after `start` until `end` by ascending time, part by part.

        Raises PrometheusError.
        """
        replicas: set[Replica] = set()
        for first, last in chunks(start, end, self.part_seconds):
            scrapes: dict[tuple[Replica, float], Scrape] = {}
            for selector in self.selectors:
                for series in self.client.samples_of_chunk(selector, first, last):
                    _add(scrapes, series)
            replicas.update(replica for replica, _ in scrapes)
            if replicas:
                starts = self.client.samples_of_chunk(
                    _process_starts(self.group, replicas), first, last
                )
                _add_starts(scrapes, starts, replicas)
            yield sorted(scrapes.values(), key=lambda scrape: scrape.time)
            on_progress(last)


def _process_starts(group: ProbeGroup, replicas: Iterable[Replica]) -> str:
    instances = {dict(replica).get("instance", "") for replica in replicas}
    pattern = "|".join(re.escape(instance) for instance in sorted(instances))
    return group.target_selector(PROCESS_START, f"instance=~{quote(pattern)}")


def _add(scrapes: dict[tuple[Replica, float], Scrape], series: Series) -> None:
    """Add the values of a series of the probe to its `scrapes`."""
    labels, replica = split_labels(series.labels)
    name = series.labels["__name__"]
    objective = _objective(labels) if name == catalogue.OBJECTIVE.name else None
    counter = _counter(name, labels)
    for time, value in series.samples:
        scrape = scrapes.get((replica, time))
        if scrape is None:
            scrape = scrapes[replica, time] = Scrape(replica, time)
        if objective:
            scrape.targets[objective] = value
        elif name == catalogue.INTERVAL.name:
            scrape.interval = value
        else:
            scrape.counters[counter] = value


def _add_starts(
    scrapes: dict[tuple[Replica, float], Scrape],
    starts: Iterable[Series],
    replicas: set[Replica],
) -> None:
    """Add the start of the process to each scrape, also to those without the probe."""
    for series in starts:
        replica = split_labels(series.labels).target
        if replica not in replicas:
            continue
        for time, value in series.samples:
            scrape = scrapes.setdefault((replica, time), Scrape(replica, time))
            scrape.process_start = value


def _objective(labels: Mapping[str, str]) -> ObjectiveKey:
    return ObjectiveKey(labels["slo"], Signal(labels["signal"]), float(labels["threshold"]))


def _counter(name: str, labels: Mapping[str, str]) -> CounterKey:
    return CounterKey(
        metric=name.removesuffix("_bucket"),
        kind=labels.get("reason", labels.get("outcome", "")),
        le=float(labels.get("le", math.inf)),
        dimension=labels.get("dimension", ""),
        value=labels.get("value", ""),
    )


@cache
def success_counter(signal: Signal, threshold: float) -> CounterKey:
    """Return the bucket of the successes within `threshold`."""
    return CounterKey(SIGNAL_METRICS[signal], Outcome.SUCCESS, threshold)


@cache
def all_counters(signal: Signal) -> tuple[CounterKey, CounterKey]:
    """Return the buckets of all successes and of all failures."""
    metric = SIGNAL_METRICS[signal]
    return CounterKey(metric, Outcome.SUCCESS), CounterKey(metric, Outcome.FAILURE)
