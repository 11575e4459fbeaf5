"""Samples of the daemon during a soak test, taken from outside: metrics and /proc."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from bench.memory_cgroup import MemoryCgroup
from bench.metrics_text import Buckets, buckets, sums
from bench.processes import children_memory, memory, socket_memory
from bench.soak_targets import HEALTHY_KINDS, kind_of
from tests.commands import Running


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """The metrics of one scrape."""

    ticks: Mapping[str, int]
    """By probe."""
    intervals: Mapping[str, int]
    """By probe, in seconds."""
    unbalanced: tuple[str, ...]
    """Probes with a tick that is neither finished nor skipped nor in flight."""
    in_flight: int
    skipped: Mapping[str, int]
    """By reason."""
    failures: Mapping[tuple[str, str], int]
    """By kind of probe and reason."""
    latency: Mapping[str, Buckets]
    """Of successes, by healthy kind of probe."""
    lag: Buckets
    correction: Buckets


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The daemon at one moment. The scrape lasted from `requested` to `received` (monotonic)."""

    requested: float
    received: float
    rss_megabytes: float
    """Of the daemon and its child processes; pages that they share are counted twice."""
    memory_megabytes: float
    """Memory that counts against the limit of a container: see `take_sample`."""
    threads: int
    descriptors: int
    metrics: Metrics


def take_sample(daemon: Running, cgroup: MemoryCgroup | None) -> Sample:
    """Return a sample of `daemon`, which runs in `cgroup`.

    Without a cgroup, its memory is the RSS and the kernel memory of the connections of its HTTP
    server.
    """
    process = Path(f"/proc/{daemon.process.pid}")
    rss_megabytes = memory(daemon.process.pid)[0] + children_memory(daemon.process.pid)
    if cgroup:
        memory_megabytes = cgroup.used_megabytes()
    else:
        memory_megabytes = rss_megabytes + socket_memory(daemon.port)
    threads = len(list((process / "task").iterdir()))
    descriptors = len(list((process / "fd").iterdir()))
    requested = time.monotonic()
    text = daemon.get("/metrics").text
    return Sample(
        requested=requested,
        received=time.monotonic(),
        rss_megabytes=rss_megabytes,
        memory_megabytes=memory_megabytes,
        threads=threads,
        descriptors=descriptors,
        metrics=parse_metrics(text),
    )


def parse_metrics(text: str) -> Metrics:
    ticks, runs, in_flight = (
        sums(text, metric, "probe") for metric in ("ticks_total", "runs_total", "in_flight")
    )
    skipped = sums(text, "skipped_total", "probe")
    failures: Counter[tuple[str, str]] = Counter()
    for (probe, reason), count in sums(text, "failures_total", "probe", "reason").items():
        if count:
            failures[kind_of(probe), reason] += count
    latency: dict[str, Counter[float]] = {kind: Counter() for kind in HEALTHY_KINDS}
    for (probe, outcome, le), count in sums(
        text, "latency_seconds_bucket", "probe", "outcome", "le"
    ).items():
        if outcome == "success" and kind_of(probe) in latency:
            latency[kind_of(probe)][float(le)] += count
    intervals = sums(text, "interval_seconds", "probe")
    return Metrics(
        ticks={probe: count for (probe,), count in ticks.items()},
        intervals={probe: seconds for (probe,), seconds in intervals.items()},
        unbalanced=tuple(
            probe[0]
            for probe, count in ticks.items()
            if count != runs[probe] + skipped[probe] + in_flight[probe]
        ),
        in_flight=in_flight.total(),
        skipped={reason: n for (reason,), n in sums(text, "skipped_total", "reason").items()},
        failures=failures,
        latency=latency,
        lag=buckets(text, "schedule_lag_seconds"),
        correction=buckets(text, "clock_correction_seconds"),
    )


def count_ticks(samples: Sequence[Sample]) -> int:
    """Return the ticks of all probes. The last ticks of a removed probe are unknown."""
    return sum(
        max(0, ticks - earlier.metrics.ticks.get(probe, 0))
        for earlier, later in pairwise(samples)
        for probe, ticks in later.metrics.ticks.items()
    )
