"""Measurements of a load test: counts of the requests that were due in each second of a step.

Several processes measure parts of one step. Their counts are added, so the result is the same as of
one process.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from probe.result import Component, Phase, Reason

# Ratio of the bounds of a bucket: the error of a quantile is at most 1 %.
BUCKET_RATIO = 1.01

# Lower bound of the first bucket (seconds).
MIN_BUCKET_SECONDS = 1e-6

_LOG_RATIO = math.log(BUCKET_RATIO)

_Key = TypeVar("_Key", Phase, Component)


class LatencyHistogram:
    """Counts of durations in logarithmic buckets. Two histograms are added without loss."""

    __slots__ = ("_buckets",)

    def __init__(self, buckets: Mapping[int, int] | None = None) -> None:
        """`buckets` are the counts by the number of the bucket."""
        self._buckets = Counter(buckets or {})

    def observe(self, seconds: float, count: int = 1) -> None:
        """Count a duration `count` times."""
        ratio = seconds / MIN_BUCKET_SECONDS
        bucket = math.ceil(math.log(ratio) / _LOG_RATIO - 1e-9) if ratio > 1.0 else 0
        self._buckets[bucket] += count

    def add(self, other: "LatencyHistogram") -> None:
        """Add the counts of `other`."""
        self._buckets.update(other._buckets)

    @property
    def count(self) -> int:
        return self._buckets.total()

    def cumulative(self, bounds: Iterable[float]) -> list[int]:
        """Return the number of durations up to each of `bounds` (seconds, ascending)."""
        counts, seen = [], 0
        buckets = iter(sorted(self._buckets.items()))
        bucket, count = next(buckets, (math.inf, 0))
        for bound in bounds:
            last = math.log(bound / MIN_BUCKET_SECONDS) / _LOG_RATIO + 1e-6
            while bucket <= last:
                seen += count
                bucket, count = next(buckets, (math.inf, 0))
            counts.append(seen)
        return counts

    def at_rank(self, rank: int) -> float:
        """Return the duration (seconds) with `rank` in ascending order, from 1.

        It is the upper bound of its bucket, and infinite if there are fewer durations.
        """
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= rank:
                return MIN_BUCKET_SECONDS * BUCKET_RATIO**bucket
        return math.inf


@dataclass(slots=True, kw_only=True)
class Counts:
    """Counts of requests; those of several seconds and of several processes can be added."""

    offered: int = 0
    """Requests that were due."""
    dropped: int = 0
    """Due requests that were not sent, because too many were in flight."""
    completed: int = 0
    """Requests with a result, successful or failed."""
    failures: Counter[Reason] = field(default_factory=Counter)
    events: tuple[int, ...] = ()
    """For each objective, the requests that were good or bad."""
    bad: tuple[int, ...] = ()
    """For each objective, the bad requests, also those in flight that are already too late."""
    latencies: LatencyHistogram = field(default_factory=LatencyHistogram)
    """Latencies of the successes, from the time at which the request was due."""
    latency_seconds: float = 0.0
    """Sum of the latencies of all results."""
    phases: dict[Phase, float] = field(default_factory=dict)
    """Sum of each phase of the successes (seconds)."""
    components: dict[Component, float] = field(default_factory=dict)
    """Sum of each time that the server reported with a success (seconds)."""
    tokens: int = 0
    """Tokens that the server reported, input and output."""
    in_flight_seconds: float = 0.0
    """Integral of the number of requests in flight over the time of these seconds."""
    lags: LatencyHistogram = field(default_factory=LatencyHistogram)
    """Delays of the starts: the lateness of the load generator."""

    @property
    def failed(self) -> int:
        return self.failures.total()

    def add(self, other: "Counts") -> None:
        """Add the counts of `other`, which has the same objectives."""
        self.offered += other.offered
        self.dropped += other.dropped
        self.completed += other.completed
        self.failures.update(other.failures)
        self.events = _add_each(self.events, other.events)
        self.bad = _add_each(self.bad, other.bad)
        self.latencies.add(other.latencies)
        self.latency_seconds += other.latency_seconds
        add_values(self.phases, other.phases)
        add_values(self.components, other.components)
        self.tokens += other.tokens
        self.in_flight_seconds += other.in_flight_seconds
        self.lags.add(other.lags)


def no_requests(objectives: int) -> Counts:
    """Return empty counts with a number of objectives."""
    return Counts(events=(0,) * objectives, bad=(0,) * objectives)


def total(counts: Iterable[Counts]) -> Counts:
    """Return the sum of `counts`."""
    result = Counts()
    for part in counts:
        result.add(part)
    return result


def add_values(totals: dict[_Key, float], values: Mapping[_Key, float]) -> None:
    """Add each of `values` to the total with the same key."""
    for key, value in values.items():
        totals[key] = totals.get(key, 0.0) + value


@dataclass(frozen=True, slots=True, kw_only=True)
class StepMeasurement:
    """State of a step. Times are seconds from its start."""

    seconds: tuple[Counts, ...]
    """Counts of the requests that were due in each second, in order."""
    complete_until: float
    """All requests that were due before this time are good or bad for each objective."""
    in_flight: int = 0
    """Requests in flight now."""


class LoadGenerator(Protocol):
    """Sends requests at a constant mean rate, each at its due time.

    Times are seconds from the start of the step.
    """

    def start(self, rate: float) -> None:
        """Begin a step with `rate` requests per second."""

    def measure(self, until: float) -> StepMeasurement:
        """Wait until the time `until` and return the measurement of the step up to now."""

    def stop(self) -> StepMeasurement:
        """End the step: send no more requests, and wait for those in flight."""


def _add_each(left: tuple[int, ...], right: tuple[int, ...]) -> tuple[int, ...]:
    if not left or not right:
        return left or right
    return tuple(map(sum, zip(left, right, strict=True)))
