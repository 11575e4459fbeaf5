"""Increases of the counters of one scrape target, from scrape to scrape.

The increases are exact: they are differences of scraped values, not extrapolated as those of
`increase()`. What a process counted after its last scrape was never scraped and is not known.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from probe.clock import DAY_SECONDS

# Scrapes before a period are read for this time: the increases of the first scrape in the period
# begin at the last one before it, which may be long ago after a gap.
LOOKBACK_SECONDS = DAY_SECONDS

PROCESS_START = "process_start_time_seconds"

# Two times of the start of a process that differ by less (seconds) are the same.
_SAME_START_SECONDS = 1.0


class CounterKey(Protocol):
    """Identifies a counter, or a bucket of a histogram."""

    @property
    def metric(self) -> str:
        """Name of the metric. The buckets of a histogram have the same."""

    def __hash__(self) -> int: ...


Key = TypeVar("Key", bound=CounterKey)


class Scrape(Protocol[Key]):
    """The counters of a target in one scrape. Empty: it had none of them."""

    @property
    def time(self) -> float: ...

    @property
    def counters(self) -> Mapping[Key, float]: ...

    @property
    def process_start(self) -> float | None:
        """When the process started (Unix seconds); None if the target does not export it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterIncreases(Generic[Key]):
    """What a target counted between two scrapes."""

    since: float
    """Time of the scrape before, or of the start of the process if that is later."""
    time: float
    absent_since: float | None
    """Time of the last scrape of the previous process; None for the same one."""
    counts: Mapping[Key, float]
    """Increases above 0."""


class TargetCounters(Generic[Key]):
    """The counters of one target, whose process may restart.

    A counter begins at 0 if it is new in a scrape and the target was scraped before, or if its
    process has started after `horizon` (Unix seconds). Otherwise its first value is where the
    increases begin. If the target does not export the start of its process, a decrease of
    `monotonic` is a restart.
    """

    def __init__(self, horizon: float, monotonic: Key) -> None:
        self._horizon = horizon
        self._monotonic = monotonic
        self._previous: Scrape[Key] | None = None

    def advance(
        self, scrape: Scrape[Key], reset_metrics: Set[str] = frozenset()
    ) -> CounterIncreases[Key] | None:
        """Return the increases since the previous scrape, None if `scrape` has no counters.

        Scrapes come by ascending time. `reset_metrics` are those that the process has reset since
        the previous scrape; others are recognised by values that decrease.
        """
        previous, self._previous = self._previous, scrape
        if not scrape.counters:
            return None
        is_new_process = previous is None or self._is_restarted(previous, scrape)
        since = scrape.time if previous is None else previous.time
        if is_new_process:
            since = self._start(previous, scrape)
        before = {} if previous is None or is_new_process else previous.counters
        counts = {}
        if previous or self._began_after_horizon(scrape):
            counts = _increases(before, scrape.counters, reset_metrics)
        return CounterIncreases(
            since=since,
            time=scrape.time,
            absent_since=previous.time if previous and is_new_process else None,
            counts=counts,
        )

    def _is_restarted(self, previous: Scrape[Key], scrape: Scrape[Key]) -> bool:
        """Return whether another process answered the scrape."""
        if previous.process_start is not None and scrape.process_start is not None:
            return abs(scrape.process_start - previous.process_start) > _SAME_START_SECONDS
        before = previous.counters.get(self._monotonic, 0.0)
        return scrape.counters.get(self._monotonic, 0.0) < before

    def _began_after_horizon(self, scrape: Scrape[Key]) -> bool:
        return scrape.process_start is not None and scrape.process_start >= self._horizon

    def _start(self, previous: Scrape[Key] | None, scrape: Scrape[Key]) -> float:
        """Return the time since which the first scrape of a process has counted."""
        start = scrape.time if scrape.process_start is None else scrape.process_start
        earliest = self._horizon if previous is None else previous.time
        if previous is None and not self._began_after_horizon(scrape):
            return scrape.time
        return min(max(start, earliest), scrape.time)


def _increases(
    before: Mapping[Key, float], counters: Mapping[Key, float], reset_metrics: Set[str]
) -> dict[Key, float]:
    """Return the increases above 0 of the counters of one process.

    It resets all series of a histogram together.
    """
    reset = reset_metrics | {
        counter.metric for counter, value in before.items() if counters.get(counter, value) < value
    }
    counts = {}
    for counter, value in counters.items():
        base = 0.0 if counter.metric in reset else before.get(counter, 0.0)
        if value > base:
            counts[counter] = value - base
    return counts
