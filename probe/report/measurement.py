"""The measurement of one probe in a period: its events and coverage, from all scrapes."""

from collections.abc import Sequence
from dataclasses import dataclass

from probe.metrics import catalogue
from probe.metrics.target_labels import Replica, split_labels
from probe.prometheus.client import OnProgress, PrometheusClient
from probe.prometheus.increases import LOOKBACK_SECONDS, Increase, ReplicaCounters
from probe.prometheus.probe_group import ProbeGroup
from probe.prometheus.scrapes import Scrape, ScrapeReader
from probe.report.coverage import Coverage, CoverageCounter
from probe.report.dimension_counts import DimensionCounts
from probe.report.objective_counts import Objective, ObjectiveCounter, ObjectiveCounts
from probe.report.period import Period
from probe.report.selectors import report_selectors


@dataclass(frozen=True, slots=True)
class Measurement:
    """Events and coverage of a probe in a period."""

    objectives: dict[Objective, ObjectiveCounts]
    coverage: Coverage | None
    dimensions: DimensionCounts


def measure(
    client: PrometheusClient, group: ProbeGroup, period: Period, on_progress: OnProgress
) -> Measurement:
    """Read all scrapes of a probe. Raises PrometheusError."""
    horizon = max(0.0, period.start - LOOKBACK_SECONDS)
    reader = _reader(client, group, horizon, period.end)
    counter = _Counter(horizon, period.start)
    for part in reader.scrapes(horizon, period.end, on_progress):
        counter.add(part)
    return counter.measurement(period.end)


def _reader(client: PrometheusClient, group: ProbeGroup, start: float, end: float) -> ScrapeReader:
    """Return a reader for the objectives and the failures that exist in the period."""
    window = f"{round((end - start) * 1000)}ms"
    objectives = client.instant(
        f"last_over_time({group.selector(catalogue.OBJECTIVE.name)}[{window}])", end
    )
    failures = client.instant(
        f"max_over_time({group.selector(catalogue.FAILURES.name)}[{window}]) > 0", end
    )
    # max_over_time removes the name.
    labels = [{**series.labels, "__name__": catalogue.FAILURES.name} for series in failures]
    is_renamed = any("exported_reason" in item for item in labels)
    reasons = {split_labels(item).metric["reason"] for item in labels}
    thresholds = {split_labels(series.labels).metric["threshold"] for series in objectives}
    selectors = report_selectors(group, thresholds, None if is_renamed else reasons)
    return ScrapeReader(client, group, selectors)


class _Counter:
    """Adds up the scrapes of all replicas after `start` (Unix seconds)."""

    def __init__(self, horizon: float, start: float) -> None:
        self._horizon = horizon
        self._start = start
        self._replicas: dict[Replica, ReplicaCounters] = {}
        self._objectives = ObjectiveCounter()
        self._coverage = CoverageCounter(start)
        self._dimensions = DimensionCounts()

    def add(self, part: Sequence[Scrape]) -> None:
        """Add scrapes by ascending time."""
        for scrape in part:
            counters = self._replicas.setdefault(scrape.replica, ReplicaCounters(self._horizon))
            increase = counters.advance(scrape)
            if scrape.time <= self._start:
                continue
            if increase is None:
                self._coverage.add_scrape_without_probe(scrape.time)
            else:
                self._add(scrape.replica, increase)

    def _add(self, replica: Replica, increase: Increase) -> None:
        self._coverage.add(replica, increase)
        self._objectives.add(replica, increase)
        self._dimensions.add(increase)

    def measurement(self, end: float) -> Measurement:
        return Measurement(
            self._objectives.finish(), self._coverage.coverage(end), self._dimensions
        )
