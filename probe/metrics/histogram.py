"""A histogram with buckets of its own.

prometheus_client's Histogram has one set of buckets for all its label sets. Here each probe has
its own: the thresholds of its objectives are among them, so that a rule can count exactly.
"""

from bisect import bisect_left
from collections.abc import Iterable
from functools import cache
from itertools import accumulate

from probe.metrics.catalogue import MetricSpec
from probe.metrics.exposition import format_value

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


class Histogram:
    """Counts observations (seconds) in buckets. Not locked: its owner is."""

    __slots__ = ("_counts", "_ends", "_sum", "bounds")

    def __init__(self, buckets: Iterable[float]) -> None:
        """`buckets` are upper bounds in any order; the one at infinity is added."""
        self.bounds = tuple(sorted(set(buckets)))
        self._ends = _ends(self.bounds)
        self._counts = [0] * len(self._ends)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self.bounds, value)] += 1
        self._sum += value

    def samples(self, declared: MetricSpec, labels: str) -> str:
        """The lines of its samples; `labels` as `labels_text` has made them."""
        comma = "," if labels else ""
        head = f"{declared.name}_bucket{{{labels}{comma}"
        cumulative = list(accumulate(self._counts))
        lines = [f"{head}{end}{count}\n" for end, count in zip(self._ends, cumulative, strict=True)]
        lines.append(f"{declared.name}_count{{{labels}}} {cumulative[-1]}\n")
        lines.append(f"{declared.name}_sum{{{labels}}} {format_value(self._sum)}\n")
        return "".join(lines)


@cache
def _ends(bounds: tuple[float, ...]) -> tuple[str, ...]:
    """How the line of each bucket goes on after its labels; probes with equal buckets share it."""
    return tuple(f'le="{format_value(bound)}"}} ' for bound in (*bounds, float("inf")))
