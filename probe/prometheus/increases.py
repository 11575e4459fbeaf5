"""Increases of the counters of one replica for one probe, from scrape to scrape.

The increases are exact: they are differences of scraped values, not extrapolated as those of
`increase()`. What a process counted after its last scrape was never scraped and is not known.
"""

import math
from collections.abc import Mapping, Set
from dataclasses import dataclass

from probe.clock import DAY_SECONDS
from probe.metrics import catalogue
from probe.prometheus.scrapes import SIGNAL_METRICS, CounterKey, ObjectiveKey, Scrape

# Scrapes before a period are read for this time: the increases of the first scrape in the period
# begin at the last one before it, which may be long ago after a gap.
LOOKBACK_SECONDS = DAY_SECONDS

# Two times of the start of a process that differ by less (seconds) are the same.
_SAME_START_SECONDS = 1.0

_TICKS = CounterKey(catalogue.TICKS.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Increase:
    """Events that a replica counted between two scrapes."""

    since: float
    """Time of the scrape before, or of the start of the process if that is later."""
    time: float
    absent_since: float | None
    """Time of the last scrape of the previous process; None if the process is the same."""
    interval: float | None
    counts: Mapping[CounterKey, float]
    """Increases above 0."""
    targets: Mapping[ObjectiveKey, float]
    """Targets of the objectives in effect."""

    def of(self, counter: CounterKey) -> float:
        return self.counts.get(counter, 0.0)


class ReplicaCounters:
    """The counters of one replica for one probe. Its process may restart.

    A counter begins at 0 if it is new in a scrape and the replica was scraped before, or if its
    process has started after `horizon` (Unix seconds). Otherwise its first value is where the
    increases begin. If the replica does not export the start of its process, a decrease of the
    ticks is a restart.
    """

    def __init__(self, horizon: float) -> None:
        self._horizon = horizon
        self._previous: Scrape | None = None

    def advance(self, scrape: Scrape) -> Increase | None:
        """Return the increases since the previous scrape, None if the probe is not in `scrape`.

        Scrapes come by ascending time.
        """
        previous, self._previous = self._previous, scrape
        if not scrape.counters:
            return None
        is_new_process = previous is None or _is_restarted(previous, scrape)
        since = scrape.time if previous is None else previous.time
        if is_new_process:
            since = self._start(previous, scrape)
        if previous is None:
            since = max(since, _earliest_start(scrape))
        before = {} if previous is None or is_new_process else previous.counters
        counts = {}
        if previous or self._began_after_horizon(scrape):
            counts = _increases(before, scrape.counters, _reset_metrics(previous, scrape))
        return Increase(
            since=since,
            time=scrape.time,
            absent_since=previous.time if previous and is_new_process else None,
            interval=scrape.interval,
            counts=counts,
            targets=scrape.targets,
        )

    def _began_after_horizon(self, scrape: Scrape) -> bool:
        return scrape.process_start is not None and scrape.process_start >= self._horizon

    def _start(self, previous: Scrape | None, scrape: Scrape) -> float:
        """Return the time since which the first scrape of a process has counted."""
        start = scrape.time if scrape.process_start is None else scrape.process_start
        earliest = self._horizon if previous is None else previous.time
        if previous is None and not self._began_after_horizon(scrape):
            return scrape.time
        return min(max(start, earliest), scrape.time)


def _is_restarted(previous: Scrape, scrape: Scrape) -> bool:
    """Return whether another process answered the scrape."""
    if previous.process_start is not None and scrape.process_start is not None:
        return abs(scrape.process_start - previous.process_start) > _SAME_START_SECONDS
    return scrape.counters.get(_TICKS, 0.0) < previous.counters.get(_TICKS, 0.0)


def _reset_metrics(previous: Scrape | None, scrape: Scrape) -> set[str]:
    """Return the histograms that the daemon has reset for a new objective or threshold."""
    known: Set[ObjectiveKey] = previous.targets.keys() if previous else frozenset()
    return {SIGNAL_METRICS[objective.signal] for objective in scrape.targets.keys() - known}


def _increases(
    before: Mapping[CounterKey, float],
    counters: Mapping[CounterKey, float],
    reset_metrics: Set[str],
) -> dict[CounterKey, float]:
    """Return the increases above 0 of the counters of one process.

    It resets all series of a histogram together, so values that decrease show a reset of all.
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


def _earliest_start(scrape: Scrape) -> float:
    """Return when the probe began at the earliest, by its ticks (Unix seconds).

    A reload may have added it long after the start of the process.
    """
    ticks = scrape.counters.get(_TICKS)
    if ticks is None or scrape.interval is None:
        return -math.inf
    return scrape.time - (ticks + 1) * scrape.interval
