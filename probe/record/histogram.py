"""A histogram with buckets of its own.

prometheus_client's Histogram has one set of buckets for all its label sets. Here each probe has
its own: the thresholds of its objectives are among them, so that a rule can count exactly.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

from prometheus_client.metrics_core import Metric
from prometheus_client.utils import floatToGoString

# The series E6 of IEC 60063, six steps a decade and none above 1.5, from 1 ms to 2 minutes.
LATENCY_BUCKETS = (
    *(0.001, 0.0015, 0.0022, 0.0033, 0.0047, 0.0068),
    *(0.01, 0.015, 0.022, 0.033, 0.047, 0.068),
    *(0.1, 0.15, 0.22, 0.33, 0.47, 0.68),
    *(1.0, 1.5, 2.2, 3.3, 4.7, 6.8),
    *(10.0, 15.0, 22.0, 33.0, 47.0, 68.0),
    *(100.0, 120.0),
)

# Coarser, for what is looked at to find out where a latency came from.
COARSE_BUCKETS = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)


def bucket_label(bound: float) -> str:
    """The text of a bucket's label `le` for its upper bound (seconds; infinity is `+Inf`)."""
    return str(floatToGoString(bound))  # type: ignore[no-untyped-call]


class Histogram:
    """Counts observations (seconds) in buckets. Not locked: its owner is."""

    def __init__(self, buckets: Iterable[float]) -> None:
        """`buckets` are upper bounds in any order; the one at infinity is added."""
        self._bounds = sorted(set(buckets))
        self._labels = [bucket_label(bound) for bound in (*self._bounds, float("inf"))]
        self._counts = [0] * len(self._labels)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def add_to(self, metric: Metric, labels: Mapping[str, str]) -> None:
        """Add the samples of this histogram to a metric family."""
        for le, count in self._cumulative():
            metric.add_sample(f"{metric.name}_bucket", {**labels, "le": le}, count)
        metric.add_sample(f"{metric.name}_count", dict(labels), sum(self._counts))
        metric.add_sample(f"{metric.name}_sum", dict(labels), self._sum)

    def _cumulative(self) -> Iterator[tuple[str, int]]:
        return zip(self._labels, accumulate(self._counts), strict=True)
