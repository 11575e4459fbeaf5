"""Workloads and results of the benchmark of scale, and their arithmetic."""

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from bench.accuracy_results import quantile
from bench.daemon import probe_name
from bench.processes import ProcessMemory
from bench.start_delays import StartDelay
from probe.clock import NS_PER_SECOND
from probe.scheduler.grid import Grid

CONSTANT_RATE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleWorkload:
    """A number of probes, and how many of them run per second."""

    probes: int
    rate: int
    cores: float | None = None
    """Limit of the CPU time of the daemon."""

    def __str__(self) -> str:
        limit = f", {self.cores:g} cores" if self.cores else ""
        return f"{self.probes:,} probes, {self.rate:,}/s{limit}"

    @property
    def key(self) -> str:
        """The name on the command line."""
        return f"{self.probes}@{self.rate}"

    @property
    def interval_seconds(self) -> float:
        return self.probes / self.rate

    @property
    def interval(self) -> str:
        """The interval in the config."""
        return f"{round(self.interval_seconds * 1000)}ms"

    def due_times(self) -> Iterator[float]:
        """Yield the seconds from the start at which the schedule of the daemon has due times."""
        offsets = sorted(
            Grid.for_probe(probe_name(number), self.interval_seconds, anchor=0).first
            / NS_PER_SECOND
            for number in range(1, self.probes + 1)
        )
        for index in count():
            for offset in offsets:
                yield index * self.interval_seconds + offset


CONSTANT = tuple(
    ScaleWorkload(probes=probes, rate=CONSTANT_RATE) for probes in (10, 100, 1000, 5000, 10_000)
)
GROWING = (
    ScaleWorkload(probes=10, rate=10),
    ScaleWorkload(probes=1000, rate=200),
    ScaleWorkload(probes=5000, rate=250),
    ScaleWorkload(probes=10_000, rate=400),
)
LIMITED = ScaleWorkload(probes=1000, rate=1000, cores=1.5)
WORKLOADS = (*CONSTANT, *GROWING, LIMITED)
QUICK_WORKLOADS = (
    ScaleWorkload(probes=10, rate=20),
    ScaleWorkload(probes=100, rate=50, cores=1.5),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Something that the daemon did from `start` to `end` (monotonic, s), with its CPU time (s).

    `size` and `compressed` are those of a response (bytes).
    """

    start: float
    end: float
    cpu: float
    size: int = 0
    compressed: int = 0

    @property
    def seconds(self) -> float:
        return self.end - self.start


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """blackbox_exporter at the same rate: CPU seconds per probe, and its memory."""

    cpu: float
    failed: int
    memory: ProcessMemory


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleResult:
    """The measurements of one workload. Times are seconds."""

    workload: ScaleWorkload
    started: Span
    """From the start of the process until it says that it is running."""
    first_tick: float
    """From the start of the process to the first run."""
    quiet: Span
    """Without requests to the daemon."""
    scraped: Span
    """With a scrape at the interval of Prometheus."""
    scrapes: Sequence[Span]
    pages: Sequence[Span]
    reload: Span
    delays: Sequence[StartDelay]
    bare_delays: Sequence[StartDelay]
    histogram_p99: float
    """The 99th percentile of the start lag after the warm-up, from the metrics."""
    skipped: int
    failed: int
    memory: ProcessMemory
    worker: ProcessMemory | None
    """Memory of the child processes."""
    peer: Peer | None
    is_limited: bool
    """Whether the limit of the CPU time is in effect."""

    @property
    def cpu(self) -> float:
        """CPU per probe, without requests to the daemon."""
        return self.quiet.cpu / max(1, self._runs(self.quiet))

    def cpu_of(self, spans: Iterable[Span]) -> float:
        """Return the median of the CPU of `spans`, without that of the probes in them."""
        return statistics.median(span.cpu - self.cpu * self._runs(span) for span in spans)

    def _runs(self, span: Span) -> int:
        return sum(span.start <= delay.due + delay.seconds < span.end for delay in self.delays)

    def p99(self, *spans: Span) -> float:
        """Return the 99th percentile of the delays in `spans`, or NaN."""
        return quantile(_during(self.delays, spans), 0.99)

    def bare_p99(self, *spans: Span) -> float:
        """Return the 99th percentile of the delays of the bare timer in `spans`, or NaN."""
        return quantile(_during(self.bare_delays, spans), 0.99)

    def added_delay(self, spans: Sequence[Span]) -> float:
        """Return by how much the longest delay in `spans` exceeds that of the bare timer."""
        longest, longest_bare = (
            max(_during(delays, spans), default=0.0) for delays in (self.delays, self.bare_delays)
        )
        return max(0.0, longest - longest_bare)


def _during(delays: Iterable[StartDelay], spans: Sequence[Span]) -> list[float]:
    return [
        delay.seconds
        for delay in delays
        if any(delay.overlaps(span.start, span.end) for span in spans)
    ]
