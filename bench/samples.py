"""What the soak looks at every few seconds, from outside the daemon."""

import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf, nan
from pathlib import Path

from bench.processes import memory
from bench.soak_targets import KINDS, kind
from tests.commands import Running

Buckets = Mapping[float, float]
"""Counts up to each bound (seconds), as in the metrics."""

_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the daemon says of itself on one page of metrics."""

    ticks: Mapping[str, int]
    """By probe."""
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
    """The daemon at one moment."""

    asked: float
    """When its page was asked for, and when it had come: seconds of the monotonic clock."""
    answered: float
    resident: float
    """MB."""
    threads: int
    descriptors: int
    told: Told


def take(daemon: Running) -> Sample:
    """A sample, now."""
    process = Path(f"/proc/{daemon.process.pid}")
    resident, _ = memory(daemon.process.pid)
    threads = len(list((process / "task").iterdir()))
    descriptors = len(list((process / "fd").iterdir()))
    asked = time.monotonic()
    page = daemon.get("/metrics").text
    return Sample(
        asked=asked,
        answered=time.monotonic(),
        resident=resident,
        threads=threads,
        descriptors=descriptors,
        told=read(page),
    )


def read(page: str) -> Told:
    """What is on a page."""
    ticks, runs, in_flight = (
        _sums(page, metric, "probe") for metric in ("ticks_total", "runs_total", "in_flight")
    )
    skipped = _sums(page, "skipped_total", "probe")
    failures: Counter[tuple[str, str]] = Counter()
    for (probe, reason), count in _sums(page, "failures_total", "probe", "reason").items():
        if count:
            failures[kind(probe), reason] += count
    latency: dict[str, Counter[float]] = {one: Counter() for one in KINDS}
    for (probe, outcome, end), count in _sums(
        page, "latency_seconds_bucket", "probe", "outcome", "le"
    ).items():
        if outcome == "success" and kind(probe) in latency:
            latency[kind(probe)][float(end)] += count
    return Told(
        ticks={probe: count for (probe,), count in ticks.items()},
        unbalanced=tuple(
            probe[0]
            for probe, count in ticks.items()
            if count != runs[probe] + skipped[probe] + in_flight[probe]
        ),
        in_flight=in_flight.total(),
        skipped={reason: n for (reason,), n in _sums(page, "skipped_total", "reason").items()},
        failures=failures,
        latency=latency,
        lag=_buckets(page, "schedule_lag_seconds"),
        correction=_buckets(page, "clock_correction_seconds"),
    )


def _sums(page: str, metric: str, *names: str) -> Counter[tuple[str, ...]]:
    """Of the series of a metric, by the values of these labels.

    prometheus_client's parser would take more than a second for a page of this size.
    """
    sums: Counter[tuple[str, ...]] = Counter()
    lines = re.findall(rf"^inference_probe_{metric}{{(.*)}} (\S+)$", page, re.MULTILINE)
    for text, value in lines:
        labels = dict(_LABEL.findall(text))
        sums[tuple(labels[name] for name in names)] += round(float(value))
    return sums


def _buckets(page: str, histogram: str) -> Buckets:
    return {float(end): n for (end,), n in _sums(page, f"{histogram}_bucket", "le").items()}


def since(earlier: Buckets, later: Buckets) -> Buckets:
    """What has come to a histogram in between."""
    return {end: count - earlier.get(end, 0) for end, count in later.items()}


def quantile(buckets: Buckets, share: float) -> float:
    """Of what was observed (seconds), evenly spread over its bucket; NaN of none."""
    rank = share * buckets.get(inf, 0)
    start, below = 0.0, 0.0
    for end, count in sorted(buckets.items()):
        if count >= rank and count > below:
            return start if end == inf else start + (end - start) * (rank - below) / (count - below)
        start, below = end, count
    return nan


def counted(samples: Sequence[Sample]) -> int:
    """Ticks of all probes; those of one that was removed in between are not known to the end."""
    return sum(
        max(0, ticks - earlier.told.ticks.get(probe, 0))
        for earlier, later in pairwise(samples)
        for probe, ticks in later.told.ticks.items()
    )
