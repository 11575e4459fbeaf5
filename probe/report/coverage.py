"""Share of a period that was measured. Unmeasured time is neither good nor bad."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from probe.metrics import catalogue
from probe.metrics.target_labels import Replica
from probe.prometheus import scrapes
from probe.prometheus.increases import Increase
from probe.result import Reason, Signal, SkipReason

# Longest interval of scrapes for which the rules work. After a longer time between two scrapes
# of one process, Prometheus was absent and not the prober.
MAX_SCRAPE_SECONDS = 300.0

# Without scrapes for this time before the end of the period, the prober is absent.
END_SECONDS = MAX_SCRAPE_SECONDS

Interval = tuple[float, float]
"""Start and end (Unix seconds)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaCoverage:
    """The runs of one replica. `start` and `end` are its first and last time in the period."""

    replica: Replica
    start: float
    end: float
    expected: float
    due: int
    run: int
    skipped: Mapping[str, int]
    restarts: int
    absent_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """Runs that no objective counts. `seconds` is their number times the interval."""

    cause: str
    runs: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """The runs of all replicas of a probe."""

    first_scrape: float
    """Time of the first scrape with the probe in the period."""
    start: float
    """Since when the counters of the first scrape count, at the earliest the start of the period.
    """
    end: float
    """When the probe was removed, or the end of the period."""
    expected: float
    """Number of runs, from the interval and the time in which the probe was configured."""
    due: int
    run: int
    skipped: Mapping[str, int]
    absences: tuple[Interval, ...]
    """Times in which no replica measured."""
    unscraped_seconds: float
    """Time between scrapes that are too far apart. Its events count at the next scrape."""
    excluded: tuple[Exclusion, ...]
    replicas: tuple[ReplicaCoverage, ...]
    interval: float | None
    """The last one."""

    @property
    def seconds(self) -> float:
        return self.end - self.start

    @property
    def absent_seconds(self) -> float:
        return _seconds(self.absences)

    @property
    def deliberate(self) -> int:
        """Number of due times without an event that are not missing data.

        They were skipped on purpose, or the endpoint was starting.
        """
        reasons = (SkipReason.PAUSED, SkipReason.BUDGET, SkipReason.COLD)
        starting = sum(item.runs for item in self.excluded if item.cause in STARTING_CAUSES)
        return sum(self.skipped.get(reason, 0) for reason in reasons) + starting


@dataclass(slots=True)
class _ReplicaTimes:
    """Coverage of one replica until the last scrape that was added."""

    measured: list[Interval] = field(default_factory=list)
    expected: float = 0.0
    absent: float = 0.0
    restarts: int = 0
    counts: Counter[scrapes.CounterKey] = field(default_factory=Counter)


class CoverageCounter:
    """Adds up the coverage of one probe after `start` (Unix seconds)."""

    def __init__(self, start: float) -> None:
        self._start = start
        self._replicas: dict[Replica, _ReplicaTimes] = {}
        self._first_scrape: float | None = None
        self._without_probe = 0.0
        self._unscraped = 0.0
        self._interval: float | None = None
        self._excluded_seconds: dict[str, float] = dict.fromkeys(EXCLUDED, 0.0)

    def add(self, replica: Replica, increase: Increase) -> None:
        """Add the increases of a replica. Those of all replicas come by ascending time."""
        times = self._replicas.setdefault(replica, _ReplicaTimes())
        if self._first_scrape is None:
            self._first_scrape = increase.time
        self._interval = increase.interval or self._interval
        since = max(increase.since, self._start)
        if increase.absent_since is not None:
            times.restarts += 1
            self._expect(times, since - max(increase.absent_since, self._start))
            times.absent += since - max(increase.absent_since, self._start)
        if increase.time - since > MAX_SCRAPE_SECONDS:
            self._unscraped += increase.time - since
        self._expect(times, increase.time - since)
        _append(times.measured, (since, increase.time))
        times.counts.update(increase.counts)
        for cause, counter in EXCLUDED.items():
            self._excluded_seconds[cause] += increase.of(counter) * (self._interval or 0.0)

    def add_scrape_without_probe(self, time: float) -> None:
        """Add a scrape of a replica that does not have the probe."""
        self._without_probe = time

    def _expect(self, times: _ReplicaTimes, seconds: float) -> None:
        if self._interval:
            times.expected += seconds / self._interval

    def coverage(self, end: float) -> Coverage | None:
        """Return the coverage until `end` (Unix seconds); None if nothing was measured."""
        measured = _union(
            interval for times in self._replicas.values() for interval in times.measured
        )
        if self._first_scrape is None:
            return None
        start, last = measured[0][0], measured[-1][1]
        # If a replica was scraped later, and did not have the probe, the probe was removed.
        probe_was_removed = self._without_probe > last
        if probe_was_removed or end - last <= END_SECONDS:
            end = last
        spans = _union(
            (times.measured[0][0], times.measured[-1][1]) for times in self._replicas.values()
        )
        outside = (end - start) - _seconds(spans)
        counts = sum(
            (times.counts for times in self._replicas.values()), Counter[scrapes.CounterKey]()
        )
        expected = sum(times.expected for times in self._replicas.values())
        return Coverage(
            first_scrape=self._first_scrape,
            start=start,
            end=end,
            expected=expected + (outside / self._interval if self._interval else 0.0),
            due=round(counts[_TICKS]),
            run=round(counts[_RUNS]),
            skipped=_skipped(counts),
            absences=tuple(_between(measured, end)),
            unscraped_seconds=self._unscraped,
            excluded=tuple(
                self._exclusion(cause, counter, counts) for cause, counter in EXCLUDED.items()
            ),
            replicas=tuple(
                _replica_coverage(replica, times) for replica, times in self._replicas.items()
            ),
            interval=self._interval,
        )

    def _exclusion(
        self, cause: str, counter: scrapes.CounterKey, counts: Mapping[scrapes.CounterKey, float]
    ) -> Exclusion:
        """Return the runs of `cause`. Cold starts may be events (`cold: {count: true}`)."""
        runs, seconds = round(counts[counter]), self._excluded_seconds[cause]
        if cause == "cold" and runs:
            others = sum(counts[EXCLUDED[other]] for other in ("startup", "internal"))
            events = sum(counts[counter] for counter in scrapes.all_counters(Signal.LATENCY))
            without_event = min(runs, max(0, round(counts[_RUNS] - others - events)))
            runs, seconds = without_event, seconds * without_event / runs
        return Exclusion(cause=cause, runs=runs, seconds=seconds)


_TICKS = scrapes.CounterKey(catalogue.TICKS.name)
_RUNS = scrapes.CounterKey(catalogue.RUNS.name)

# Causes for which no objective counts a run, and their counters.
EXCLUDED = {
    "startup": scrapes.CounterKey(catalogue.FAILURES.name, Reason.STARTUP),
    "internal": scrapes.CounterKey(catalogue.FAILURES.name, Reason.INTERNAL),
    "cold": scrapes.CounterKey(scrapes.COLD_STARTS),
    "paused": scrapes.CounterKey(catalogue.SKIPPED.name, SkipReason.PAUSED),
    "budget": scrapes.CounterKey(catalogue.SKIPPED.name, SkipReason.BUDGET),
}

# Causes whose runs are not missing data: the endpoint was starting. Runs with `internal` are.
STARTING_CAUSES = ("startup", "cold")


def _replica_coverage(replica: Replica, times: _ReplicaTimes) -> ReplicaCoverage:
    return ReplicaCoverage(
        replica=replica,
        start=times.measured[0][0],
        end=times.measured[-1][1],
        expected=times.expected,
        due=round(times.counts[_TICKS]),
        run=round(times.counts[_RUNS]),
        skipped=_skipped(times.counts),
        restarts=times.restarts,
        absent_seconds=times.absent,
    )


def _skipped(counts: Mapping[scrapes.CounterKey, float]) -> dict[str, int]:
    return {
        str(reason): round(counts.get(scrapes.CounterKey(catalogue.SKIPPED.name, reason), 0.0))
        for reason in SkipReason
    }


def _append(intervals: list[Interval], interval: Interval) -> None:
    """Append an interval that does not begin before the last one, joined to it if possible."""
    if intervals and interval[0] <= intervals[-1][1]:
        intervals[-1] = (intervals[-1][0], max(intervals[-1][1], interval[1]))
    else:
        intervals.append(interval)


def _union(intervals: Iterable[Interval]) -> list[Interval]:
    """Return the disjoint intervals that cover the same time, by ascending time."""
    joined: list[Interval] = []
    for interval in sorted(intervals):
        _append(joined, interval)
    return joined


def _between(intervals: Sequence[Interval], end: float) -> Iterator[Interval]:
    """Yield the gaps between disjoint `intervals`, and after them until `end`."""
    starts = [*(start for start, _ in intervals[1:]), end]
    for (_, previous_end), start in zip(intervals, starts, strict=True):
        if start > previous_end:
            yield previous_end, start


def _seconds(intervals: Sequence[Interval]) -> float:
    return sum(end - start for start, end in intervals)
