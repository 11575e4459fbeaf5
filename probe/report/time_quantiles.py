"""Quantiles of latencies and phases, from the buckets of histograms.

Unlike the counts of events they are estimates: quantiles are interpolated within a bucket.
`increase()` extrapolates to the whole day, which changes all buckets by the same factor.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from probe.metrics import catalogue
from probe.prometheus.client import PrometheusClient, chunks
from probe.prometheus.probe_group import ProbeGroup
from probe.prometheus.scrapes import DIMENSION_METRIC, SIGNAL_METRICS
from probe.result import Phase

_Key = TypeVar("_Key")

RANKS = (0.5, 0.9, 0.95, 0.99)


@dataclass(slots=True)
class BucketCounts:
    """Numbers of values up to each upper bound (seconds), as in a histogram of Prometheus."""

    cumulative: dict[float, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def count(self) -> float:
        return self.cumulative.get(math.inf, 0.0)

    def quantile(self, rank: float) -> float | None:
        """Return the quantile, interpolated as by `histogram_quantile`; None without values."""
        if self.count < 1:
            return None
        wanted, lower, below = rank * self.count, 0.0, 0.0
        for bound in sorted(self.cumulative):
            count = self.cumulative[bound]
            if count >= wanted:
                if math.isinf(bound) or count <= below:
                    return lower
                return lower + (bound - lower) * (wanted - below) / (count - below)
            lower, below = bound, max(below, count)
        return lower


@dataclass(frozen=True, slots=True)
class TimeQuantiles:
    """Number of successes with a time, and its quantiles (seconds) by RANKS."""

    successes: int
    quantiles: Mapping[float, float]
    first_bound: float
    """Upper bound of the first bucket (seconds). Of smaller quantiles, no more is known."""


def read_quantiles(
    client: PrometheusClient, group: ProbeGroup, start: float, end: float
) -> dict[str, TimeQuantiles]:
    """Return the quantiles of latency, signals and phases. Raises PrometheusError."""
    found: dict[str, BucketCounts] = {}
    for signal, metric in SIGNAL_METRICS.items():
        selector = group.selector(f"{metric}_bucket", 'outcome="success"')
        for _, counts in _read(client, selector, "le", start, end):
            found[signal] = counts
    phases = dict(
        _read(client, group.selector(f"{catalogue.PHASE.name}_bucket"), "le, phase", start, end)
    )
    found |= {phase: phases[(phase,)] for phase in Phase if (phase,) in phases}
    return _quantiles(found)


def read_dimension_quantiles(
    client: PrometheusClient, group: ProbeGroup, start: float, end: float
) -> dict[tuple[str, str], TimeQuantiles]:
    """Return the quantiles of the latency by dimension and value. Raises PrometheusError."""
    selector = group.selector(f"{DIMENSION_METRIC}_bucket", 'outcome="success"')
    found = dict(_read(client, selector, "le, dimension, value", start, end))
    return _quantiles({(key[0], key[1]): counts for key, counts in found.items()})


def _quantiles(found: Mapping[_Key, BucketCounts]) -> dict[_Key, TimeQuantiles]:
    quantiles = {}
    for key, counts in found.items():
        values = {rank: counts.quantile(rank) for rank in RANKS}
        known = {rank: seconds for rank, seconds in values.items() if seconds is not None}
        if known:
            quantiles[key] = TimeQuantiles(round(counts.count), known, min(counts.cumulative))
    return quantiles


def _read(
    client: PrometheusClient, selector: str, labels: str, start: float, end: float
) -> Iterator[tuple[tuple[str, ...], BucketCounts]]:
    """Yield the buckets of each combination of `labels`, without `le`, by their values."""
    found: dict[tuple[str, ...], BucketCounts] = defaultdict(BucketCounts)
    names = [name for name in labels.split(", ") if name != "le"]
    for first, last in chunks(start, end):
        window = f"{round((last - first) * 1000)}ms"
        for series in client.instant(f"sum by ({labels}) (increase({selector}[{window}]))", last):
            key = tuple(series.labels.get(name, "") for name in names)
            if not math.isnan(series.value):
                found[key].cumulative[float(series.labels["le"])] += series.value
    yield from found.items()
