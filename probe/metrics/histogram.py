"""Histogram whose buckets can differ between label sets.

prometheus_client's Histogram has one set of buckets for all label sets. Here each probe has its
own set: the thresholds of its objectives are bucket bounds, so that a rule can count exactly.
"""

from bisect import bisect_left
from collections.abc import Iterable
from functools import cache
from itertools import accumulate

from probe.metrics.catalogue import MetricSpec
from probe.metrics.exemplar import Exemplar
from probe.metrics.exposition import fill_lines, format_value, lines_template

# Seconds. For the latency of successes and the phases in which the model works, `wait` and
# `receive`. The series E6 of IEC 60063: six steps per decade, from 1 ms to 2 minutes. No step is
# above factor 1.5: interpolation then overstates the p95 of a log-normal latency with sigma 0.3 by
# at most 13.5 %. A factor of 2 would give 39 %. Latency and phases have the same bounds, so that a
# phase does not appear longer than the request.
LATENCY_BUCKETS = (
    *(0.001, 0.0015, 0.0022, 0.0033, 0.0047, 0.0068),
    *(0.01, 0.015, 0.022, 0.033, 0.047, 0.068),
    *(0.1, 0.15, 0.22, 0.33, 0.47, 0.68),
    *(1.0, 1.5, 2.2, 3.3, 4.7, 6.8),
    *(10.0, 15.0, 22.0, 33.0, 47.0, 68.0),
    *(100.0, 120.0),
)

# Seconds. For the phases of the network: `dns`, `connect`, `tls` and `send`. They separate the same
# host, zone, region and continent, and retries: TCP repeats its SYN after 1 s, resolvers after 5 s.
NETWORK_BUCKETS = (0.0005, 0.001, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0)

# Seconds. For the times that servers report. Rules, runbook and dashboard use their means, and six
# components with the bounds of the latency would cost 210 series per probe.
COARSE_BUCKETS = (0.001, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0)

# Seconds. For cold starts: from a loaded image to many gigabytes of weights.
COLD_START_BUCKETS = (
    *(0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0),
    *(90.0, 120.0, 180.0, 300.0, 600.0),
)

# Seconds. For streams: the bounds of vLLM's metrics up to 80 s, with more of them at the low end.
FIRST_TOKEN_BUCKETS = (
    *(0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.25, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0),
)
TOKEN_BUCKETS = (
    *(0.001, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.025, 0.035, 0.05, 0.075),
    *(0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5),
)
GAP_BUCKETS = (
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0),
)

# Seconds. For the delays of this process, which exist once per daemon.
DELAY_BUCKETS = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)


class Histogram:
    """Counts observations (seconds) in buckets. The caller holds a lock."""

    __slots__ = ("_counts", "_exemplars", "_sum", "_template", "bounds")

    def __init__(self, buckets: Iterable[float]) -> None:
        """`buckets` are upper bounds in any order; +Inf is added."""
        self.bounds, self._template = _shared_bounds(tuple(sorted(set(buckets))))
        self._counts = [0] * (len(self.bounds) + 1)
        self._sum = 0.0
        # The latest exemplar of each bucket, with its value, by the bucket's index. None as long as
        # there is none: most histograms never have one.
        self._exemplars: dict[int, tuple[Exemplar, float]] | None = None

    def observe(self, value: float, exemplar: Exemplar | None = None) -> None:
        """Count `value` in its bucket. `exemplar` replaces the one of this bucket."""
        index = bisect_left(self.bounds, value)
        self._counts[index] += 1
        self._sum += value
        if exemplar:
            self._exemplars = self._exemplars or {}
            self._exemplars[index] = exemplar, value

    def copy(self) -> "Histogram":
        """Return a copy, which is faster than `copy.copy`."""
        copy = object.__new__(Histogram)
        copy.bounds, copy._template = self.bounds, self._template
        copy._counts, copy._sum = self._counts.copy(), self._sum
        copy._exemplars = self._exemplars and self._exemplars.copy()
        return copy

    def samples(self, spec: MetricSpec, labels: str, *, with_exemplars: bool = False) -> str:
        """Return the lines of all samples; `labels` is text from `format_labels`.

        Only OpenMetrics has exemplars.
        """
        name, comma = spec.name, "," if labels else ""
        head = f"{name}_bucket{{{labels}{comma}"
        # `tuple(iterator)` over-allocates and shrinks, so it cannot use CPython's free list of
        # tuples (up to 2,000 of each size). `(*iterator,)` can.
        cumulative = (*accumulate(self._counts),)
        buckets = fill_lines(self._template, head, cumulative)
        if with_exemplars and self._exemplars:
            lines = buckets.split("\n")
            for index, (exemplar, value) in self._exemplars.items():
                lines[index] += exemplar.text(value)
            buckets = "\n".join(lines)
        braces = f"{{{labels}}}" if labels else ""
        return (
            f"{buckets}{name}_count{braces} {cumulative[-1]}\n"
            f"{name}_sum{braces} {format_value(self._sum)}\n"
        )


@cache
def _shared_bounds(bounds: tuple[float, ...]) -> tuple[tuple[float, ...], str]:
    """Return `bounds`, and the template of the lines of all buckets.

    Equal histograms share both, which takes 1 kB less for each probe.
    """
    ends = (f'le="{format_value(bound)}"}} %d' for bound in (*bounds, float("inf")))
    return bounds, lines_template(ends)
